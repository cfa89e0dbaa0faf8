/** From a request to a stream of tokens: the part of `santacoder/engine/engine.py` that a single user needs. */

import { asSentence } from "./errors.js";
import { DEFAULT_ORDER } from "./gap_order.js";
import { completionRequest } from "./request.js";
import { Sequence } from "./sequence.js";
import { TokenHealing } from "./token_healing.js";

/** @typedef {import("./events.js").Event} Event */
/** @typedef {import("./fim.js").FimOrder} FimOrder */
/** @typedef {import("./request.js").GivenRequest} GivenRequest */
/** @typedef {import("./tokenizer.js").Tokenizer} Tokenizer */

/**
 * Computes logits for one sequence, whose keys and values it stores. Logits are in rows [V], where V may be larger than
 * the tokenizer's vocabulary. The next call may overwrite them.
 *
 * @typedef {object} Runner
 * @property {number} nPositions the context size in tokens.
 * @property {(ids: number[], start: number, nLogits: number) => Promise<Float32Array>} prefill Prefill `ids` from the
 *   position `start` on, over what was there; the logits after the last `nLogits` of them, [nLogits, V].
 */

const PROMPT_CHUNK = 256;

/** The tokens whose keys and values a runner holds. @type {WeakMap<Runner, number[]>} */
const heldBy = new WeakMap();

/** @type {WeakMap<Tokenizer, TokenHealing>} */
const healingOf = new WeakMap();

/**
 * Complete `request`: the first event tells what became of the prompt, the last one why the text ended. A runner serves
 * one request at a time. The tokens that the prompt has in common with the runner's last prompt are not prefilled again.
 *
 * @param {GivenRequest} request
 * @param {Tokenizer} tokenizer
 * @param {Runner} runner
 * @param {{signal?: AbortSignal, order?: FimOrder}} [options] the signal cancels the request; `order` is the order of a
 *   prompt with a gap, if the request has none.
 * @returns {AsyncGenerator<Event, void, void>}
 * @throws {import("./errors.js").UserError} the request cannot be served; the message is a sentence for the user.
 */
export async function* generate(request, tokenizer, runner, { signal, order = DEFAULT_ORDER } = {}) {
  const healing = healingOf.get(tokenizer) ?? new TokenHealing(tokenizer);
  healingOf.set(tokenizer, healing);
  const sequence = new Sequence(completionRequest(request), tokenizer, runner.nPositions, order, healing);
  sequence.nComputed = commonPrefix(heldBy.get(runner) ?? [], sequence.prompt.slice(0, -1));
  heldBy.set(runner, sequence.prompt.slice(0, sequence.nComputed));
  yield {
    type: "started",
    notices: sequence.notices,
    seed: sequence.sampler.seed,
    prompt_ids: [...sequence.prompt, ...sequence.takenBack],
    n_cached: sequence.nComputed,
    prompt_end: sequence.promptEnd,
    crlf: sequence.crlf,
  };
  while (!sequence.finished) {
    if (signal?.aborted) {
      sequence.finish("cancelled");
    } else {
      await advance(sequence, runner, tokenizer.vocabSize);
    }
    yield* sequence.takeEvents();
  }
}

/**
 * Prefill the next chunk of the prompt, or decode the last token with a draft of the next ones, and sample what follows.
 *
 * @param {Sequence} sequence
 * @param {Runner} runner
 * @param {number} vocabSize
 */
async function advance(sequence, runner, vocabSize) {
  try {
    const step = sequence.nToPrefill ? prefill : decode;
    await step(sequence, runner, vocabSize);
  } catch (error) {
    heldBy.delete(runner);
    sequence.finish("error", { message: `The model could not be run: ${asSentence(error)}` });
  }
}

/** @param {Sequence} sequence @param {Runner} runner @param {number} vocabSize */
async function decode(sequence, runner, vocabSize) {
  const draft = sequence.agreeing ? [] : sequence.drafting.draft(sequence.ids, sequence.nLeft - 1);
  const ids = [sequence.ids[sequence.ids.length - 1], ...draft];
  const logits = await runner.prefill(ids, sequence.nComputed, ids.length);
  sequence.nComputed += 1;
  follow(sequence, draft, rowsOf(logits, ids.length, vocabSize));
}

/** @param {Sequence} sequence @param {Runner} runner @param {number} vocabSize */
async function prefill(sequence, runner, vocabSize) {
  const chunk = sequence.prompt.slice(sequence.nComputed, sequence.nComputed + PROMPT_CHUNK);
  // tokens removed by token healing are verified as a draft: if they stay the same, they cost no step
  const draft = sequence.nToPrefill === chunk.length ? sequence.takenBack : [];
  const logits = await runner.prefill([...chunk, ...draft], sequence.nComputed, 1 + draft.length);
  sequence.nComputed += chunk.length;
  // generated tokens are left out: their keys and values differ in the last bits from those of a prompt
  heldBy.set(runner, sequence.prompt.slice(0, sequence.nComputed));
  if (sequence.nToPrefill === 0) follow(sequence, draft, rowsOf(logits, 1 + draft.length, vocabSize));
}

/**
 * The first `vocabSize` logits of each of `count` rows.
 *
 * @param {Float32Array} logits
 * @param {number} count
 * @param {number} vocabSize
 */
function rowsOf(logits, count, vocabSize) {
  const width = logits.length / count;
  return Array.from({ length: count }, (_, row) => logits.subarray(row * width, row * width + vocabSize));
}

/**
 * Add a token from each of `rows` while the draft is correct.
 *
 * @param {Sequence} sequence
 * @param {readonly number[]} draft
 * @param {readonly Float32Array[]} rows
 */
function follow(sequence, draft, rows) {
  for (let nRight = 0; nRight <= draft.length; nRight++) {
    let logits = rows[nRight];
    const agreeing = nRight < draft.length ? sequence.agreeingBehind(draft[nRight]) : null;
    if (agreeing) logits = foreseen(logits, draft[nRight], rows[nRight + 1], agreeing);
    addToken(sequence, logits);
    const isRight = sequence.ids[sequence.ids.length - 1] === draft[nRight];
    if (sequence.finished || nRight === draft.length || !isRight) return;
    sequence.nComputed += 1;
  }
}

/**
 * `logits` with that of `id` lowered by the log-probability that one of `agreeing` follows it, under `behind`, the
 * logits after that token.
 *
 * @param {Float32Array} logits [V]
 * @param {number} id
 * @param {Float32Array} behind [V]
 * @param {readonly number[]} agreeing
 */
function foreseen(logits, id, behind, agreeing) {
  let highest = -Infinity;
  for (const logit of behind) highest = Math.max(highest, logit);
  let total = 0;
  for (const logit of behind) total += Math.exp(logit - highest);
  const ofAgreeing = agreeing.reduce((sum, other) => sum + Math.exp(behind[other] - highest), 0);
  const lowered = logits.slice();
  lowered[id] += Math.log(ofAgreeing / total);
  return lowered;
}

/** Sample the next token. @param {Sequence} sequence @param {Float32Array} logits [V] */
function addToken(sequence, logits) {
  try {
    sequence.lookAt(logits);
    const choice = sequence.sampler.choose(limited(logits, sequence.agreeing), sequence.ids);
    if (sequence.nLeft) sequence.add(choice);
    else sequence.finish("length");
  } catch (error) {
    const message = `The text could not be continued: ${asSentence(error)}`;
    sequence.finish("error", { message, withHeld: false });
  }
}

/**
 * `logits` with minus infinity for tokens that are not `agreeing`.
 *
 * @param {Float32Array} logits
 * @param {readonly number[] | null} agreeing
 */
function limited(logits, agreeing) {
  if (agreeing === null) return logits;
  const row = new Float32Array(logits.length).fill(-Infinity);
  for (const id of agreeing) row[id] = logits[id];
  return row;
}

/** The length of the longest common prefix. @param {readonly number[]} first @param {readonly number[]} second */
function commonPrefix(first, second) {
  const length = Math.min(first.length, second.length);
  for (let index = 0; index < length; index++) if (first[index] !== second[index]) return index;
  return length;
}
