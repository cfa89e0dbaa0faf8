import assert from "node:assert/strict";
import { test } from "node:test";

import { Accumulator } from "../engine/accumulator.js";
import { generate } from "../engine/generate.js";
import { Drafting } from "../engine/prompt_lookup.js";
import { NoiseRunner } from "./noise.js";
import { fromPython } from "./request.js";
import { tokenizer, vectors } from "./vectors.js";

/** @typedef {import("../engine/events.js").Event} Event */

const REQUEST = { prefix: "def area(w, h):\n    ", sampling: { max_new_tokens: 40, temperature: 0 } };

/** @param {AsyncIterable<Event>} stream */
async function collected(stream) {
  /** @type {Event[]} */
  const events = [];
  const accumulator = new Accumulator(tokenizer, { withRespelled: true });
  for await (const event of stream) {
    events.push(event);
    accumulator.add(event);
  }
  return { events, accumulator };
}

for (const [number, group] of vectors("generate").entries()) {
  test(`the requests of group ${number} get the texts of Python's engine`, async () => {
    const runner = new NoiseRunner(tokenizer.vocabSize);
    for (const expected of group) {
      runner.script = expected.script;
      runner.beginsAt = expected.begins_at;
      const { events, accumulator } = await collected(generate(fromPython(expected.request), tokenizer, runner));
      checkEvents(events, expected);
      assert.equal(accumulator.text, expected.text);
      assert.equal(accumulator.behind, expected.behind);
      assert.deepEqual(
        accumulator.tokens.map(({ id, text, offset, top }) => [id, text, offset, top.map((each) => [each.id, each.text])]),
        expected.tokens,
      );
    }
  });
}

/** @param {Event[]} events @param {any} expected */
function checkEvents(events, expected) {
  const [started, ...others] = events;
  assert.ok(started.type === "started");
  assert.deepEqual(started.prompt_ids, expected.prompt_ids);
  assert.equal(started.n_cached, expected.n_cached);
  assert.deepEqual(started.notices, expected.notices);
  const finished = others.pop();
  assert.ok(finished?.type === "finished");
  const last = expected.events.at(-1);
  assert.deepEqual([finished.reason, finished.text, finished.message, finished.ended_by, finished.cut], last);
  const tokens = others.map((event) => {
    assert.ok(event.type === "token");
    return event;
  });
  const wanted = expected.events.slice(0, -1);
  assert.deepEqual(
    tokens.map(({ id, text, n_typed }) => [id, text, n_typed]),
    wanted.map((/** @type {any} */ [id, text, , nTyped]) => [id, text, nTyped]),
  );
  tokens.forEach(({ logprob }, index) => assert.ok(Math.abs(logprob - wanted[index][2]) < 1e-4));
}

test("a request can be cancelled, and its prompt stays in the cache", async () => {
  const runner = new NoiseRunner(tokenizer.vocabSize);
  const controller = new AbortController();
  /** @type {Event[]} */
  const events = [];
  for await (const event of generate(REQUEST, tokenizer, runner, { signal: controller.signal })) {
    events.push(event);
    if (events.length === 4) controller.abort();
  }
  assert.equal(events.length, 5);
  const last = events[4];
  assert.equal(last.type === "finished" && last.reason, "cancelled");
  const { events: again } = await collected(generate(REQUEST, tokenizer, runner));
  const [started] = again;
  assert.ok(started.type === "started");
  assert.equal(started.n_cached, started.prompt_ids.length - 1);
});

test("tokens are drafted where Python's engine drafts them", () => {
  for (const { ids, drafts } of vectors("drafts")) {
    const drafting = new Drafting();
    for (const [place, room, drafted] of drafts) assert.deepEqual(drafting.draft(ids.slice(0, place), room), drafted);
  }
});

test("drafts change the number of steps, and never the text", async () => {
  const runner = new NoiseRunner(tokenizer.vocabSize);
  runner.script = Array.from({ length: 40 }, (_, index) => 300 + (index % 5));
  const request = { prefix: "x = ", sampling: { temperature: 0, max_new_tokens: 40, ignore_eos: true } };
  const { draft } = Drafting.prototype;
  const runs = [];
  for (const own of [draft, () => []]) {
    Drafting.prototype.draft = own;
    runner.beginsAt = 0;
    const before = runner.nSteps;
    const { events, accumulator } = await collected(generate(request, tokenizer, runner));
    runs.push({ text: accumulator.text, nEvents: events.length, nSteps: runner.nSteps - before });
  }
  Drafting.prototype.draft = draft;
  const [drafted, plain] = runs;
  assert.deepEqual([drafted.text, drafted.nEvents], [plain.text, plain.nEvents]);
  assert.ok(drafted.nSteps < plain.nSteps / 2, `${drafted.nSteps} steps, ${plain.nSteps} without drafts`);
});

test("a request that is cancelled before it begins computes nothing", async () => {
  const runner = new NoiseRunner(tokenizer.vocabSize);
  const { events } = await collected(generate(REQUEST, tokenizer, runner, { signal: AbortSignal.abort() }));
  assert.deepEqual(
    events.map((event) => event.type),
    ["started", "finished"],
  );
  assert.equal(runner.nPrefilled, 0);
});

test("a failing runner ends the text with a sentence, and nothing of it is reused", async () => {
  const runner = new NoiseRunner(tokenizer.vocabSize);
  const { prefill } = runner;
  runner.prefill = async () => {
    throw new Error("out of memory");
  };
  const { events } = await collected(generate(REQUEST, tokenizer, runner));
  const last = events.at(-1);
  assert.ok(last?.type === "finished");
  assert.deepEqual([last.reason, last.message], ["error", "The model could not be run: out of memory."]);
  runner.prefill = prefill;
  const { events: again } = await collected(generate(REQUEST, tokenizer, runner));
  assert.equal(again[0].type === "started" && again[0].n_cached, 0);
  assert.equal(again.at(-1)?.type, "finished");
});

test("logits that are not finite end the text with a sentence", async () => {
  const runner = new NoiseRunner(tokenizer.vocabSize);
  runner.prefill = async (_, __, nLogits) => new Float32Array(nLogits * tokenizer.vocabSize).fill(NaN);
  const { events } = await collected(generate(REQUEST, tokenizer, runner));
  const last = events.at(-1);
  assert.ok(last?.type === "finished");
  assert.equal(last.reason, "error");
  assert.match(last.message, /not finite/);
});

test("without a seed one is drawn, and it gives the same text again", async () => {
  const runner = new NoiseRunner(tokenizer.vocabSize);
  const request = { prefix: "x = ", sampling: { temperature: 2, top_p: 1, max_new_tokens: 12 } };
  const first = await collected(generate(request, tokenizer, runner));
  const [started] = first.events;
  assert.ok(started.type === "started");
  const sampling = { ...request.sampling, seed: started.seed };
  const second = await collected(generate({ ...request, sampling }, tokenizer, runner));
  assert.equal(second.accumulator.text, first.accumulator.text);
});

test("a request with nothing to start from is told in a sentence", async () => {
  const runner = new NoiseRunner(tokenizer.vocabSize);
  await assert.rejects(collected(generate({ prefix: "" }, tokenizer, runner)), /no code to start from/);
});
