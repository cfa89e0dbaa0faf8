import assert from "node:assert/strict";
import { test } from "node:test";

import { Lexer } from "../engine/ends/lexer.js";
import { SuffixOverlap } from "../engine/ends/overlap.js";
import { RepetitionEnd } from "../engine/ends/repetition.js";
import { endFinder } from "../engine/ends/stop_at.js";
import { guessLanguage } from "../engine/languages.js";
import { StopFinder } from "../engine/stop.js";
import { fed, pieces, vectors } from "./vectors.js";

test("stop sequences are found where Python finds them", () => {
  for (const [stop, text, size, ...shown] of vectors("stop")) {
    assert.deepEqual(fed(new StopFinder(stop), text, size), shown, JSON.stringify([stop, text]));
  }
});

test("lines, blocks and functions end where Python says", () => {
  const { long, cases } = vectors("stop_at");
  for (const [stopAt, language, prompt, text, size, ...shown] of cases) {
    const finder = endFinder(prompt ?? long, stopAt, language);
    assert.ok(finder);
    assert.deepEqual(fed(finder, text, size), shown, JSON.stringify([stopAt, language, prompt, text]));
  }
});

test("the lexer finds the tokens that Python's finds, as early", () => {
  for (const [language, text, tokens, counts] of vectors("lexer")) {
    const lexer = new Lexer(language);
    const found = [...pieces(text, 3).map((piece) => lexer.feed(piece)), lexer.feed("", true)];
    assert.deepEqual(
      found.flat().map((token) => [token.kind, token.text, token.start]),
      tokens,
      JSON.stringify([language, text]),
    );
    assert.deepEqual(
      found.map((each) => each.length),
      counts,
    );
  }
});

test("pieces of any size have the same tokens", () => {
  for (const [language, text, tokens] of vectors("lexer")) {
    const expected = tokens.filter((/** @type {any} */ [kind]) => kind !== "indent"); // white space may come in several
    for (const size of [1, 2, 4, 5, 7, 1000]) {
      const lexer = new Lexer(language);
      const found = [...pieces(text, size).map((piece) => lexer.feed(piece)), lexer.feed("", true)].flat();
      assert.deepEqual(
        found.filter(({ kind }) => kind !== "indent").map((token) => [token.kind, token.text, token.start]),
        expected,
        JSON.stringify([language, text, size]),
      );
    }
  }
});

test("what repeats the suffix is cut where Python cuts it", () => {
  for (const [suffix, middle, size, lengths, rest, cut] of vectors("overlap")) {
    const end = new SuffixOverlap(suffix);
    assert.deepEqual([...fed(end, middle, size), end.cut], [lengths, rest, cut], JSON.stringify([suffix, middle]));
  }
});

test("a repetition is found where Python finds it", () => {
  for (const [prompt, text, lengths, rest, hasEnded, cut] of vectors("repetition")) {
    const end = new RepetitionEnd(prompt);
    const found = [];
    let last = ["", false];
    for (const character of text) {
      last = end.feed(/** @type {number} */ (character.codePointAt(0)), character);
      found.push(String(last[0]).length);
      if (last[1]) break;
    }
    last = last[1] ? ["", true] : end.finish();
    assert.deepEqual([found, ...last, end.cut], [lengths, rest, hasEnded, cut], JSON.stringify([prompt, text]));
  }
});

test("the language of a text is the one that Python guesses", () => {
  for (const [text, language] of vectors("languages")) assert.equal(guessLanguage(text), language, text);
});
