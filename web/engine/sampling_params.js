/** How tokens are chosen, and when to stop: the parameters, named as in the API, and their limits. */

import { countCharacters } from "./characters.js";
import { UserError } from "./errors.js";
import { MAX_SEED } from "./random.js";

/** @typedef {"none" | "line" | "block" | "function"} StopAt */

/**
 * @typedef {object} SamplingParams
 * @property {number} max_new_tokens maximum number of generated tokens; 0 only prefills the prompt.
 * @property {number} temperature 0 always takes the most likely token.
 * @property {number} top_p the fraction of probability to keep; 1 keeps all tokens.
 * @property {number} top_k the number of most likely tokens to keep; 0 keeps all tokens.
 * @property {number} repetition_penalty above 1, tokens of the prompt and of the output become less likely.
 * @property {number | null} seed the same seed gives the same text; without one, a random seed is used and reported.
 * @property {string[]} stop sequences before which the text ends.
 * @property {number} top_logprobs number of alternatives reported with each token.
 * @property {[number, number][]} logit_bias pairs of a token id and a number that is added to its logit; minus infinity
 *   bans the token.
 * @property {number} min_p drops tokens less likely than this fraction of the most likely one's probability.
 * @property {boolean} temperature_last apply temperature after top_k, top_p and min_p, not before them.
 * @property {number} frequency_penalty subtracted from a token's logit once for each time it occurs in the output.
 * @property {number} presence_penalty subtracted once from the logits of tokens in the output.
 * @property {number | null} penalty_last_n apply all three penalties to this number of last tokens, including those of
 *   the prompt.
 * @property {boolean} ignore_eos never choose a token that would end the text.
 * @property {number | null} min_logprob end the text before a token with a lower log-probability, in nats.
 * @property {boolean} token_healing allow the end of a text prompt to be removed and generated again.
 * @property {StopAt} stop_at end the text with the current line, block or function.
 * @property {boolean} stop_repetition end the text when it begins to repeat itself, and sample no white-space token
 *   twice while the text is blank.
 */

/** @type {readonly StopAt[]} */
export const STOP_AT = ["none", "line", "block", "function"];

const MAX_BIASES = 1024;
const MAX_STOP_SEQUENCES = 64;
const MAX_STOP_LENGTH = 256;

/** @type {Readonly<SamplingParams>} */
const DEFAULTS = Object.freeze({
  max_new_tokens: 64,
  temperature: 0.2,
  top_p: 0.95,
  top_k: 0,
  repetition_penalty: 1,
  seed: null,
  stop: [],
  top_logprobs: 0,
  logit_bias: [],
  min_p: 0,
  temperature_last: false,
  frequency_penalty: 0,
  presence_penalty: 0,
  penalty_last_n: null,
  ignore_eos: false,
  min_logprob: null,
  token_healing: false,
  stop_at: "none",
  stop_repetition: false,
});

/**
 * All parameters, with defaults for those that `given` lacks.
 *
 * @param {Partial<SamplingParams>} given
 * @returns {SamplingParams}
 * @throws {UserError} a value is out of range, or a name is unknown; the message is a sentence for the user.
 */
export function samplingParams(given = {}) {
  for (const name of Object.keys(given)) {
    if (!(name in DEFAULTS)) throw new UserError(`There is no sampling parameter ${name}.`);
  }
  const params = { ...DEFAULTS, ...given };
  const isWhole = Number.isInteger;
  const within = (/** @type {number} */ value, /** @type {number} */ low, /** @type {number} */ high) =>
    typeof value === "number" && low <= value && value <= high;
  const { max_new_tokens, temperature, top_p, top_k, min_p, seed, stop } = params;
  demand(isWhole(max_new_tokens) && max_new_tokens >= 0, "max_new_tokens must not be negative", max_new_tokens);
  demand(within(temperature, 0, 5), "temperature must be between 0 and 5", temperature);
  demand(within(top_p, 0, 1) && top_p > 0, "top_p must be above 0 and at most 1", top_p);
  demand(isWhole(top_k) && top_k >= 0, "top_k must be 0 (off) or more", top_k);
  const penalty = params.repetition_penalty;
  demand(within(penalty, 0.1, 10), "repetition_penalty must be between 0.1 and 10", penalty);
  demand(within(min_p, 0, 1), "min_p must be between 0 (off) and 1", min_p);
  for (const name of /** @type {const} */ (["frequency_penalty", "presence_penalty"])) {
    demand(within(params[name], -2, 2), `${name} must be between -2 and 2`, params[name]);
  }
  const least = params.min_logprob;
  demand(least === null || within(least, -Infinity, 0), "min_logprob must not be above 0", least);
  const isSeed = seed === null || (isWhole(seed) && within(seed, 0, MAX_SEED));
  demand(isSeed, `seed must be between 0 and ${MAX_SEED}`, seed);
  const n_top = params.top_logprobs;
  demand(isWhole(n_top) && within(n_top, 0, 20), "top_logprobs must be between 0 and 20", n_top);
  demand(stop.length <= MAX_STOP_SEQUENCES, `there may be at most ${MAX_STOP_SEQUENCES} stop sequences`, stop.length);
  demand(stop.every(Boolean), "stop sequences must not be empty", JSON.stringify(stop));
  const longest = Math.max(0, ...stop.map(countCharacters));
  demand(longest <= MAX_STOP_LENGTH, `a stop sequence has at most ${MAX_STOP_LENGTH} characters`, longest);
  const biases = params.logit_bias;
  demand(biases.length <= MAX_BIASES, `there may be at most ${MAX_BIASES} tokens in logit_bias`, biases.length);
  for (const [id, bias] of biases) {
    demand(isWhole(id) && id >= 0, "logit_bias must name token ids", id);
    demand(within(bias, -100, 100) || bias === -Infinity, "a logit_bias must be between -100 and 100", bias);
  }
  const lastN = params.penalty_last_n;
  demand(lastN === null || (isWhole(lastN) && lastN > 0), "penalty_last_n must be above 0", lastN);
  demand(STOP_AT.includes(params.stop_at), `stop_at must be one of ${STOP_AT.join(", ")}`, params.stop_at);
  return params;
}

/** @param {boolean} holds @param {string} sentence @param {unknown} value */
function demand(holds, sentence, value) {
  if (!holds) throw new UserError(`${sentence}, not ${value}.`);
}
