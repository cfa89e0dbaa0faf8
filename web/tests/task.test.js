import assert from "node:assert/strict";
import { test } from "node:test";

import { fill } from "../engine/task.js";
import { NoiseRunner } from "./noise.js";
import { tokenizer } from "./vectors.js";

/** @typedef {import("../engine/task.js").Task} Task */
/** @typedef {import("../engine/task.js").Token} Token */

const SAMPLING = { temperature: 0, max_new_tokens: 12, top_logprobs: 3 };

/** The text and the tokens of each gap. @param {Task} task @param {NoiseRunner} runner */
async function filled(task, runner) {
  /** @type {{text: string, tokens: Token[], reason: string}[]} */
  const gaps = [];
  for await (const { gap, text, tokens, reason } of fill(task, tokenizer, runner)) {
    const before = gaps[gap]?.tokens ?? [];
    gaps[gap] = { text, tokens: [...before, ...tokens], reason };
  }
  return gaps;
}

/** A model that would like to write `text` behind `prompt`. @param {string} prompt @param {string} text */
function wanting(prompt, text) {
  const runner = new NoiseRunner(tokenizer.vocabSize);
  runner.script = tokenizer.encode(text);
  runner.beginsAt = tokenizer.encode(prompt).length;
  return runner;
}

/** @type {[string[], string][]} */
const CASES = [
  [["def area(w, h):\n    "], "return w * h\n"],
  [["def area(w, h):\n    ret"], "urn w * h\n"],
  [["s = '東"], "京é👍'\n"],
  [["x = 1\r\ny = "], "2\nz = 3\n"],
  [["x = f(", ")\n"], "g(y), é"],
  [["x = ", "\ny = ", "\nprint(x, y)\n"], "f(1)"],
];

for (const [parts, text] of CASES) {
  test(`a candidate that continues from its own tokens stays as it was: ${JSON.stringify(parts)}`, async () => {
    /** @type {Task} */
    const task = { parts, language: "python", sampling: SAMPLING };
    const whole = await filled(task, wanting(parts[0], text));
    assert.equal(whole.length, Math.max(1, parts.length - 1));
    for (const [gap, { tokens }] of whole.entries()) {
      const texts = whole.slice(0, gap).map((each) => each.text);
      for (let length = 1; length < tokens.length; length++) {
        const opening = { texts, tokens: tokens.slice(0, length) };
        const again = await filled({ ...task, opening }, wanting(parts[0], text));
        const rest = (/** @type {typeof whole} */ each) => each.slice(gap).map((of) => [of.text, of.tokens.map(({ id }) => id)]);
        assert.deepEqual(rest(again), rest(whole), `${gap} ${length}`);
      }
    }
  });
}

test("lines before a chosen token count as repeated", async () => {
  const parts = ["x = 1\n"];
  const language = /** @type {const} */ ("python");
  const sampling = { ...SAMPLING, stop_repetition: true };
  const ids = tokenizer.encode("\nf()\nf()\nf"); // the line break is the prompt's, spelled again
  const tokens = ids.map((id) => ({ id, text: "", logprob: 0, top: [], offset: 0, respelled: false }));
  const task = { parts, language, sampling, opening: { texts: [], tokens } };
  const [{ text, reason }] = await filled(task, wanting(parts[0], "f()\n".repeat(4)));
  assert.equal(text, "f()\nf()\nf"); // without the rest of the third line
  assert.equal(reason, "stop");
});

test("tokens are where they say in the text", async () => {
  for (const [parts, text] of CASES) {
    for (const gap of await filled({ parts, language: "python", sampling: SAMPLING }, wanting(parts[0], text))) {
      for (const token of gap.tokens) {
        const shown = gap.text.slice(token.offset, token.offset + token.text.length);
        assert.ok(token.text.startsWith(shown) && (shown || token.offset >= gap.text.length || !token.text), token.text);
      }
    }
  }
});

test("gaps are filled in order, with what was written in those before", async () => {
  const parts = ["x = ", "\ny = ", "\nprint(x, y)\n"];
  const runner = wanting("", "");
  const [first, second] = await filled({ parts, language: "python", sampling: SAMPLING }, runner);
  const one = await filled({ parts: [parts[0], parts[1] + parts[2]], language: "python", sampling: SAMPLING }, runner);
  assert.equal(first.text, one[0].text);
  const opening = { texts: ["another"], tokens: [] };
  const other = await filled({ parts, language: "python", sampling: SAMPLING, opening }, runner);
  assert.equal(other[0], undefined);
  assert.notEqual(other[1].text, second.text);
});

test("a token that ends the text ends it where it is chosen", async () => {
  const parts = ["x = ", "\n"];
  const task = { parts, language: /** @type {const} */ ("python"), sampling: SAMPLING };
  const [{ tokens }] = await filled(task, wanting("x = ", "f(1)"));
  const end = { ...tokens[1], id: tokenizer.endOfTextId };
  const [{ text, reason }] = await filled({ ...task, opening: { texts: [], tokens: [tokens[0], end] } }, wanting("x = ", ""));
  assert.equal(text, tokens[0].text);
  assert.equal(reason, "stop");
});

test("a cancelled candidate keeps what it has, and leaves the other gaps", async () => {
  const stopping = new AbortController();
  const task = { parts: ["x = ", "\ny = ", "\n"], language: /** @type {const} */ ("python"), sampling: SAMPLING };
  const seen = [];
  for await (const update of fill(task, tokenizer, wanting("x = ", "f(1)"), { signal: stopping.signal })) {
    seen.push(update);
    if (update.tokens.length) stopping.abort();
  }
  assert.deepEqual([...new Set(seen.map(({ gap }) => gap))], [0]);
  assert.equal(seen[seen.length - 1].reason, "cancelled");
});
