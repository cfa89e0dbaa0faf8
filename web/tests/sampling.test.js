import assert from "node:assert/strict";
import { test } from "node:test";

import { Generator, randomSeed } from "../engine/random.js";
import { Sampler } from "../engine/sampling.js";
import { samplingParams } from "../engine/sampling_params.js";
import { noise } from "./noise.js";
import { vectors } from "./vectors.js";

/** @param {string} kind @param {number} seed @param {number} size */
function logitsOf(kind, seed, size) {
  const logits = noise(seed, size).map((value) => value * 4);
  if (kind === "ties") return logits.map(Math.floor);
  if (kind === "limited") return logits.map((value, id) => (id % 3 ? -Infinity : value));
  if (kind === "peaked") logits[seed % size] += 8;
  return logits;
}

test("a seed gives the random numbers of NumPy", () => {
  for (const { seed, numbers } of vectors("random")) {
    const generator = new Generator(seed);
    assert.deepEqual(
      numbers.map(() => generator.random()),
      numbers,
    );
  }
  assert.ok(Number.isInteger(randomSeed()));
});

test("the sampler chooses the tokens that Python's chooses", () => {
  for (const { settings, kind, first_row, size, never, n_prompt, context, choices } of vectors("sampling")) {
    const sampler = new Sampler(samplingParams(settings), { never, nPrompt: n_prompt });
    const ids = [...context];
    for (const [draw, [id, logprob, top]] of choices.entries()) {
      const choice = sampler.choose(logitsOf(kind, first_row + draw, size), ids);
      const where = JSON.stringify([settings, kind, draw]);
      assert.equal(choice.id, id, where);
      assert.ok(Math.abs(choice.logprob - logprob) < 1e-4, where);
      assert.deepEqual(
        choice.top.map(([likely]) => likely),
        top.map((/** @type {[number, number]} */ [likely]) => likely),
        where,
      );
      choice.top.forEach(([, each], place) => assert.ok(Math.abs(each - top[place][1]) < 1e-4, where));
      ids.push(id);
    }
  }
});

test("logits that are not finite are an error", () => {
  const sampler = new Sampler(samplingParams({ temperature: 0 }));
  assert.throws(() => sampler.choose(Float32Array.of(1, NaN, 2), []), /not finite/);
  assert.throws(() => sampler.choose(Float32Array.of(1, Infinity), []), /not finite/);
});

test("values out of range are told in a sentence", () => {
  const wrong = [
    { temperature: 9 },
    { top_p: 0 },
    { top_k: -1 },
    { seed: -1 },
    { stop: [""] },
    { min_logprob: 1 },
    { stop_at: "page" },
    { heat: 1 },
  ];
  for (const given of wrong) assert.throws(() => samplingParams(/** @type {any} */ (given)), /\.$/);
});
