/**
 * Sampling: the choice of the next token from the logits.
 *
 * Numbers are rounded to single precision wherever `santacoder/sampling.py` computes in it, so that the same random
 * number gives the same token. The exponential function differs by single precision's last bits between libraries.
 * That matters only to a draw that falls between two sums that close: about one in a million.
 */

import { Generator, randomSeed } from "./random.js";

/** @typedef {import("./sampling_params.js").SamplingParams} SamplingParams */

/**
 * A chosen token, its log-probability under the model (before temperature and truncation), and the most likely tokens,
 * as pairs of id and log-probability.
 *
 * @typedef {{id: number, logprob: number, top: [number, number][]}} Choice
 */

const NOT_FINITE = "the model's outputs are not finite; use another precision";
// at far lower temperatures, single precision would divide by zero; the most likely token has all the weight long before
const LOWEST_TEMPERATURE = 1e-6;
// a fraction of the total that few tokens exceed, and that usually suffices to reach top_p
const LARGE = 3e-4;
// up to this number of highest values, inserting them one by one is faster than sorting all
const FEW = 64;
const { fround } = Math;

/** Chooses the tokens of one request, excluding those in `never`, with its own random generator. */
export class Sampler {
  /**
   * @param {SamplingParams} params
   * @param {{never?: readonly number[], nPrompt?: number}} [options] `nPrompt` is the number of tokens of each context
   *   that are the prompt; only later ones count for penalties on the output.
   */
  constructor(params, { never = [], nPrompt = 0 } = {}) {
    this.params = params;
    /** Pairs of a token id and the number that is added to its logit. */
    this.bias = params.logit_bias;
    this.never = never;
    this.nPrompt = nPrompt;
    this.seed = params.seed ?? randomSeed();
    this._random = new Generator(this.seed);
  }

  /**
   * Choose the next token after `context`.
   *
   * @param {Float32Array} logits [V]
   * @param {readonly number[]} context
   * @returns {Choice}
   * @throws {Error} the logits are not finite.
   */
  choose(logits, context) {
    if (!Number.isFinite(highest(logits))) throw new Error(NOT_FINITE);
    const scores = this._adjusted(logits, context);
    const id = this.params.temperature === 0 ? argmax(scores) : this._drawn(scores);
    return score(logits, id, this.params.top_logprobs);
  }

  /** @param {Float32Array} logits @param {readonly number[]} context */
  _adjusted(logits, context) {
    const { repetition_penalty } = this.params;
    const scores = logits.slice();
    for (const [id, bias] of this.bias) scores[id] = logits[id] + fround(bias);
    if (repetition_penalty !== 1) penalise(scores, this._repeatable(context), repetition_penalty);
    this._subtractPenalties(scores, context);
    for (const id of this.never) scores[id] = -Infinity;
    return scores;
  }

  /** @param {readonly number[]} context */
  _repeatable(context) {
    const { penalty_last_n } = this.params;
    return penalty_last_n === null ? context : context.slice(-penalty_last_n);
  }

  /** @param {Float32Array} scores @param {readonly number[]} context */
  _subtractPenalties(scores, context) {
    const { frequency_penalty, presence_penalty, penalty_last_n } = this.params;
    if (!frequency_penalty && !presence_penalty) return;
    const counted = penalty_last_n === null ? context.slice(this.nPrompt) : this._repeatable(context);
    /** @type {Map<number, number>} */
    const counts = new Map();
    for (const id of counted) counts.set(id, (counts.get(id) ?? 0) + 1);
    for (const [id, count] of counts) scores[id] -= fround(count * frequency_penalty + presence_penalty);
  }

  /** @param {Float32Array} scores */
  _drawn(scores) {
    const { temperature, top_k, top_p, min_p, temperature_last } = this.params;
    const { ids, weights } = candidates(scores, temperature, top_k, top_p, min_p, temperature_last);
    let total = 0;
    for (const weight of weights) total += weight;
    const drawn = this._random.random() * total;
    let sum = 0;
    for (let index = 0; index < ids.length; index++) {
      sum += weights[index];
      if (sum > drawn) return ids[index];
    }
    return ids[ids.length - 1];
  }
}

/**
 * Score `id` as if it had been chosen.
 *
 * @param {Float32Array} logits [V]
 * @param {number} id
 * @param {number} topLogprobs
 * @returns {Choice}
 * @throws {Error} the logits are not finite.
 */
export function score(logits, id, topLogprobs) {
  const logSum = logSumExp(logits);
  const logprob = logits[id] - logSum;
  if (!Number.isFinite(logprob)) throw new Error(NOT_FINITE);
  /** @type {[number, number][]} */
  const top = [];
  for (const likely of topLogprobs ? idsOfHighest(logits, topLogprobs) : []) {
    if (logits[likely] > -Infinity) top.push([likely, logits[likely] - logSum]); // excluded tokens have minus infinity
  }
  return { id, logprob, top };
}

/**
 * The ids that may be drawn, ascending, and their probabilities, not normalised.
 *
 * The steps are those of transformers: temperature, then the `topK` most likely tokens, then the fewest tokens that
 * together have `topP` (Holtzman et al., arXiv 1904.09751), then those with at least `minP` of the most likely token's
 * probability (Nguyen et al., arXiv 2407.01082). With `temperatureLast`, the temperature comes last, as in llama.cpp.
 *
 * @param {Float32Array} scores adjusted logits, [V].
 * @param {number} temperature above 0.
 * @param {number} topK number of tokens to keep; 0 for all.
 * @param {number} topP fraction of probability to keep.
 * @param {number} minP minimum probability relative to the most likely token.
 * @param {boolean} temperatureLast apply the temperature last.
 * @returns {{ids: number[], weights: Float32Array}}
 */
export function candidates(scores, temperature, topK, topP, minP, temperatureLast) {
  const most = highest(scores);
  const divisor = fround(Math.max(temperature, LOWEST_TEMPERATURE));
  const early = temperatureLast ? 1 : divisor;
  const weights = new Float32Array(scores.length);
  for (let id = 0; id < scores.length; id++) weights[id] = weight(scores[id], most, early);
  let ids;
  if (topK) {
    const kept = idsOfHighest(scores, topK).sort((first, second) => first - second);
    ids = nucleus(Float32Array.from(kept, (id) => weights[id]), topP).map((index) => kept[index]);
  } else {
    ids = nucleus(weights, topP);
  }
  if (minP) {
    const least = fround(minP); // the most likely token has the weight 1
    ids = ids.filter((id) => weights[id] >= least);
  }
  const late = (/** @type {number} */ id) => weight(scores[id], most, divisor);
  return { ids, weights: Float32Array.from(ids, temperatureLast ? late : (id) => weights[id]) };
}

/** @param {number} score @param {number} most @param {number} divisor all in single precision */
function weight(score, most, divisor) {
  return Math.exp(fround(fround(score - most) / divisor));
}

/**
 * Make the tokens of `context` less likely, in place (Keskar et al., arXiv 1909.05858).
 *
 * @param {Float32Array} scores
 * @param {readonly number[]} context
 * @param {number} penalty
 */
function penalise(scores, context, penalty) {
  const factor = fround(penalty);
  for (const id of new Set(context)) scores[id] = scores[id] < 0 ? scores[id] * factor : scores[id] / factor;
}

/**
 * Indices, ascending, of the fewest `weights` that have `topP` of their sum; of equal ones, the first.
 *
 * Only values that can matter are sorted: the large ones, if they reach `topP`, otherwise all but those below
 * `(1 - topP) / n` of the sum, which together cannot make up the rest.
 *
 * @param {Float32Array} weights
 * @param {number} topP
 * @returns {number[]}
 */
function nucleus(weights, topP) {
  if (topP === 1) return indicesWhere(weights, (weight) => weight !== 0);
  const total = fround(sumOf(weights));
  const wanted = fround(fround(topP) * total);
  let large = valuesFrom(weights, fround(total * fround(LARGE)));
  if (sumOf(large) < wanted) large = valuesFrom(weights, fround(total * fround((1 - topP) / weights.length)));
  const ascending = large.sort();
  let before = 0;
  let count = 0;
  while (count < ascending.length && before < wanted) {
    before += ascending[ascending.length - 1 - count];
    count += 1;
  }
  count = Math.max(1, count);
  const least = ascending[ascending.length - count];
  let nEqual = 0; // how many of the values equal to the least one are kept
  for (let index = ascending.length - count; index < ascending.length && ascending[index] === least; index++) nEqual++;
  return indicesWhere(weights, (weight) => weight > least || (weight === least && nEqual-- > 0));
}

/** @param {Float32Array} values @param {(value: number) => boolean} isWanted */
function indicesWhere(values, isWanted) {
  const found = [];
  for (let index = 0; index < values.length; index++) if (isWanted(values[index])) found.push(index);
  return found;
}

/** @param {Float32Array} values @param {number} least */
function valuesFrom(values, least) {
  const found = new Float32Array(values.length); // twice as fast as filter()
  let count = 0;
  for (let index = 0; index < values.length; index++) if (values[index] >= least) found[count++] = values[index];
  return found.subarray(0, count);
}

/** @param {Float32Array} values */
function sumOf(values) {
  let sum = 0;
  for (let index = 0; index < values.length; index++) sum += values[index];
  return sum;
}

/**
 * Ids of the `count` highest scores, in descending order; of equal ones, those with the lower id.
 *
 * @param {Float32Array} scores
 * @param {number} count
 * @returns {number[]}
 */
function idsOfHighest(scores, count) {
  if (count <= FEW) return fewHighest(scores, count);
  const ascending = scores.slice().sort();
  const threshold = ascending[Math.max(0, ascending.length - count)];
  const ids = indicesWhere(scores, (score) => score >= threshold);
  return ids.sort((first, second) => scores[second] - scores[first] || first - second).slice(0, count);
}

/** @param {Float32Array} scores @param {number} count */
function fewHighest(scores, count) {
  /** @type {number[]} */
  const ids = [];
  for (let id = 0; id < scores.length; id++) {
    if (ids.length === count && !(scores[id] > scores[ids[count - 1]])) continue;
    let place = ids.length;
    while (place > 0 && scores[ids[place - 1]] < scores[id]) place--;
    ids.splice(place, 0, id);
    if (ids.length > count) ids.pop();
  }
  return ids;
}

/** @param {Float32Array} scores */
function argmax(scores) {
  let best = 0;
  for (let id = 1; id < scores.length; id++) if (scores[id] > scores[best]) best = id;
  return best;
}

/** The highest value, or NaN if there is one. @param {Float32Array} values */
function highest(values) {
  let most = -Infinity;
  for (let index = 0; index < values.length; index++) {
    if (values[index] > most) most = values[index];
    else if (Number.isNaN(values[index])) return NaN;
  }
  return most;
}

/** @param {Float32Array} logits */
function logSumExp(logits) {
  const most = highest(logits);
  let sum = 0;
  for (let id = 0; id < logits.length; id++) sum += Math.exp(fround(logits[id] - most));
  return most + Math.log(sum);
}
