import assert from "node:assert/strict";
import { test } from "node:test";

import { add, factsOf, filled, newResult } from "../page/result.js";

const UPDATE = { gap: 0, text: "1", tokens: [{ text: "1", offset: 0 }], reason: "", notices: [], nPrompt: 5, at: 20 };

test("a result has the candidates that were begun", () => {
  const result = newResult(["x = ", "\n"], "test/tiny@main", []);
  const candidates = [{ seed: 1, completions: [] }, { seed: 2, completions: [] }];
  add(result, candidates[0], UPDATE, 30);
  add(result, candidates[0], { ...UPDATE, text: "12", tokens: [{ text: "2", offset: 1 }], reason: "stop", at: 30 }, 40);
  assert.deepEqual(result.candidates, [candidates[0]]);
  const { code, written } = filled(result.parts, candidates[0]);
  assert.equal(code, "x = 12\n");
  assert.deepEqual(written.map(({ start, end }) => code.slice(start, end)), ["1", "2"]);
});

test("notices follow the facts as sentences of their own", () => {
  const result = newResult(["x"], "test/tiny@main", []);
  const candidate = { seed: 7, completions: [] };
  add(result, candidate, { ...UPDATE, reason: "length" }, 30);
  const facts = "1 token · in this browser · hit the length limit · first token 30 ms after 5 prompt tokens · seed 7 · test/tiny@main";
  assert.equal(factsOf(result, candidate, true, 1), facts);
  result.notices.push("The prompt was cut.", "The gap was cut.");
  assert.equal(factsOf(result, candidate, true, 1), `${facts}. The prompt was cut. The gap was cut.`);
});
