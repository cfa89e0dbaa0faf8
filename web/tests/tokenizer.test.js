import assert from "node:assert/strict";
import { test } from "node:test";

import { fromPython } from "./request.js";
import { buildPrompt, completionRequest } from "../engine/request.js";
import { isOnByDefault, TokenHealing } from "../engine/token_healing.js";
import { automaticOrder } from "../engine/gap_order.js";
import { GapStart, isInsideLine } from "../engine/gap_start.js";
import { Tokenizer } from "../engine/tokenizer.js";
import { noise } from "./noise.js";
import { tokenizer, vectors } from "./vectors.js";

test("texts have the tokens that Python's tokenizer finds, and are the texts of their tokens", () => {
  for (const [text, ids, starts] of vectors("tokenizer")) {
    assert.deepEqual(tokenizer.encode(text), ids, text);
    assert.deepEqual(tokenizer.wordStarts(text), starts, text);
    assert.equal(tokenizer.decode(ids), text);
  }
});

test("tokens one by one give the text that Python's decoder gives", () => {
  for (const [ids, added, rest, text] of vectors("stream_decoder")) {
    const decoder = tokenizer.streamDecoder();
    for (const [index, id] of ids.entries()) {
      assert.equal(decoder.peek(id), added[index]);
      assert.equal(decoder.feed(id), added[index]);
    }
    assert.equal(decoder.unfinished, rest !== "");
    assert.equal(decoder.finish(), rest);
    assert.equal(tokenizer.decode(ids), text);
  }
});

test("a lone surrogate is told in a sentence", () => {
  assert.throws(() => tokenizer.encode("a\ud83dz"), /U\+D83D\) at character 2/);
});

test("a tokenizer that is none of SantaCoder's is refused", () => {
  const file = { added_tokens: [], normalizer: null, pre_tokenizer: null, model: { vocab: { a: 0 }, merges: [] } };
  assert.throws(() => new Tokenizer(file), /lacks the special token/);
  assert.throws(() => new Tokenizer({ ...file, normalizer: { type: "NFC" } }), /cannot be done in a browser/);
});

test("a very long word is encoded, too", () => {
  const text = "\n".repeat(20_000) + "x".repeat(20_000);
  assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
});

test("requests become the prompts that Python builds", () => {
  const healing = new TokenHealing(tokenizer);
  for (const { request, error, ...expected } of vectors("request")) {
    const given = fromPython(request);
    if (error) {
      assert.throws(
        () => buildPrompt(completionRequest(given), tokenizer, 128, "spm", healing),
        (/** @type {Error} */ thrown) => thrown.message === error,
      );
      continue;
    }
    const complete = completionRequest(given);
    const prompt = buildPrompt(complete, tokenizer, 128, "spm", healing);
    assert.deepEqual(
      {
        ids: prompt.ids,
        max_new_tokens: prompt.maxNewTokens,
        notices: prompt.notices,
        taken_back: prompt.takenBack,
        crlf: complete.crlf,
        stop: complete.sampling.stop,
      },
      expected,
    );
  }
});

test("the open tokens and those that agree are Python's", () => {
  const healing = new TokenHealing(tokenizer);
  const { open, agreeing, defaults, gaps } = vectors("token_healing");
  for (const [ids, count] of open) assert.equal(healing.nOpen(ids), count, tokenizer.decode(ids));
  for (const [bytes, ids] of agreeing) assert.deepEqual(healing.agreeing(Uint8Array.from(bytes)), ids, String(bytes));
  for (const [prefix, suffix, isOn] of defaults) assert.equal(isOnByDefault(prefix, suffix), isOn, prefix);
  for (const [prefix, suffix, isInside, recorded, order] of gaps) {
    assert.equal(isInsideLine(prefix, suffix), isInside, prefix);
    assert.equal(automaticOrder(prefix, suffix, recorded), order, prefix);
  }
});

test("a gap begins with a line break where Python's may", () => {
  const [lineBreak] = tokenizer.encode("\n");
  for (const [prefix, boost, avoided, agreeing, avoidedOfThem] of vectors("token_healing").avoided) {
    const logits = noise(boost, tokenizer.vocabSize);
    logits[lineBreak] += boost;
    const start = new GapStart(prefix, tokenizer);
    assert.deepEqual(start.avoided(logits, null), avoided);
    assert.deepEqual(start.avoided(logits, agreeing), avoidedOfThem);
  }
});
