/** A request to the engine, and how it becomes prompt tokens that fit the context. */

import { countCharacters } from "./characters.js";
import { PromptTooLong, UserError } from "./errors.js";
import { promptIds } from "./fim.js";
import { DEFAULT_ORDER } from "./gap_order.js";
import { toLf, usesCrlf } from "./line_ends.js";
import { samplingParams } from "./sampling_params.js";
import { requireValidUnicode } from "./tokenizer.js";

/** @typedef {import("./fim.js").FimOrder} FimOrder */
/** @typedef {import("./tokenizer.js").Tokenizer} Tokenizer */
/** @typedef {import("./token_healing.js").TokenHealing} TokenHealing */
/** @typedef {import("./sampling_params.js").SamplingParams} SamplingParams */

/**
 * Continue `prefix`; with a `suffix`, write what belongs between the two.
 *
 * @typedef {object} CompletionRequest
 * @property {string} prefix text before the gap.
 * @property {string | null} suffix text after the gap.
 * @property {SamplingParams} sampling
 * @property {FimOrder | null} fim_order null leaves the order to the model.
 * @property {number[] | null} prefix_ids the tokens of the prefix, if they are given.
 * @property {boolean} may_be_cut truncate a prompt that does not fit.
 * @property {boolean} crlf write CRLF line ends.
 * @property {"python" | "java" | "javascript" | null} language the language of the code; without one, it is guessed
 *   where needed.
 * @property {boolean} fit_gap cut a middle where it repeats the suffix, and let it begin with a line break inside a line
 *   only if the model is sure.
 * @property {boolean} is_begun `prefix_ids` are the whole prompt, the suffix included, and the tokens of the answer so
 *   far.
 * @property {[number, string][]} written the tokens of the answer that have already been generated, the last of
 *   `prefix_ids`, each with the text that it added. Those that only spelled the end of the prompt again are left out.
 * @property {Uint8Array} typed what the first tokens must spell again of the typed text, after `prefix_ids`.
 */

/** @typedef {Partial<Omit<CompletionRequest, "sampling">> & {sampling?: Partial<SamplingParams>}} GivenRequest */

/**
 * Prompt tokens that fit the context, the number of new tokens that fit, and notices for the user. `takenBack` are
 * tokens removed from the end of the prefix; the first generated tokens must spell `typed`.
 *
 * @typedef {{ids: number[], maxNewTokens: number, notices: string[], takenBack: number[], typed: Uint8Array}} Prompt
 */

const FIM_MARKS = 3;
// prefix : suffix = 3 : 1 if both are too long, as llama.cpp's /infill splits its budget
const SUFFIX_SHARE = 0.25;
const CUT_SHARE = 0.125;

/**
 * A complete request, with defaults for what `given` lacks. Windows line ends become LF, also in stop sequences.
 *
 * @param {GivenRequest} given
 * @returns {CompletionRequest}
 * @throws {UserError} nothing to start from, or text that no source file has; the message is for the user.
 */
export function completionRequest(given) {
  const { sampling, ...others } = given;
  const request = {
    prefix: "",
    suffix: null,
    fim_order: null,
    prefix_ids: null,
    may_be_cut: true,
    crlf: false,
    language: null,
    fit_gap: false,
    is_begun: false,
    written: [],
    typed: new Uint8Array(),
    ...others,
    sampling: samplingParams(sampling),
  };
  if (!request.prefix && !request.prefix_ids?.length && !request.suffix) {
    throw new UserError("There is no code to start from: write some before running.");
  }
  requireSourceCode(request.suffix === null ? "prompt" : "prefix", request.prefix);
  requireSourceCode("suffix", request.suffix ?? "");
  return withLf(request);
}

/**
 * Encode `request`, and truncate what does not fit: the prefix on its left, the suffix on its right. No more of a long
 * text is encoded than may be kept.
 *
 * New tokens may claim up to half of the context before the prompt is truncated.
 *
 * @param {CompletionRequest} request
 * @param {Tokenizer} tokenizer
 * @param {number} nPositions
 * @param {FimOrder} openOrder the order for requests without one.
 * @param {TokenHealing | null} healing
 * @returns {Prompt}
 * @throws {UserError} a token id that the model does not have.
 * @throws {PromptTooLong} the prompt does not fit and must not be truncated.
 */
export function buildPrompt(request, tokenizer, nPositions, openOrder = DEFAULT_ORDER, healing = null) {
  requireKnown(request, tokenizer.vocabSize);
  const maxNewTokens = request.sampling.max_new_tokens;
  const isFim = request.suffix !== null && !request.is_begun;
  const reserved = request.may_be_cut ? Math.min(maxNewTokens, Math.floor(nPositions / 2)) : 1;
  const room = nPositions - reserved - (isFim ? FIM_MARKS : 0);
  const prefix = request.prefix_ids
    ? { ids: request.prefix_ids, isCut: false }
    : tokenizer.encodeEnd(request.prefix, room);
  const suffix = tokenizer.encodeBeginning(isFim ? (request.suffix ?? "") : "", room);
  const kept = cut(prefix.ids, suffix.ids, room);
  if (!request.may_be_cut && (kept.prefix.length < prefix.ids.length || kept.suffix.length < suffix.ids.length)) {
    const said = countSaid(prefix.ids.length + suffix.ids.length, prefix.isCut || suffix.isCut);
    throw new PromptTooLong(
      `The request (${said} tokens) exceeds the available context size (${inGroups(nPositions)} tokens); shorten it.`,
    );
  }
  const heals = healing !== null && request.sampling.token_healing && !request.prefix_ids && maxNewTokens > 0;
  const nRead = kept.prefix.length - (heals ? healing.nOpen(kept.prefix) : 0);
  const read = kept.prefix.slice(0, nRead);
  const takenBack = kept.prefix.slice(nRead);
  let ids = read.length ? read : [tokenizer.endOfTextId]; // a document begins after the end of another
  if (isFim) ids = promptIds(tokenizer, read, kept.suffix, request.fim_order ?? openOrder);
  const left = nPositions - ids.length - takenBack.length;
  const toSpell = takenBack.length ? tokenizer.decodeBytes(takenBack) : request.typed;
  const typed = maxNewTokens > 0 ? toSpell : new Uint8Array();
  return {
    ids,
    maxNewTokens: Math.min(maxNewTokens, left),
    notices: [
      ...truncationNotices(prefix, kept.prefix.length, suffix, kept.suffix.length),
      ...(maxNewTokens > left
        ? [`The model's context of ${inGroups(nPositions)} tokens leaves room for ${inGroups(left)} new ones.`]
        : []),
    ],
    takenBack,
    typed,
  };
}

/** Convert CRLF to LF. @param {CompletionRequest} request @returns {CompletionRequest} */
function withLf(request) {
  const { prefix, suffix, prefix_ids, sampling } = request;
  const crlf = request.crlf || (prefix_ids === null && usesCrlf(prefix, suffix ?? ""));
  if (!crlf && prefix_ids !== null) return request;
  const stop = sampling.stop.map((sequence) => asWritten(sequence, crlf));
  const texts = prefix_ids === null ? { prefix: toLf(prefix), suffix: suffix === null ? null : toLf(suffix) } : {};
  return { ...request, ...texts, crlf, sampling: { ...sampling, stop } };
}

/**
 * A stop sequence for text with LF. If lines end in CRLF, a CR at its end is the beginning of a line end.
 *
 * @param {string} sequence
 * @param {boolean} crlf
 */
function asWritten(sequence, crlf) {
  const inLf = toLf(sequence);
  return crlf && inLf.endsWith("\r") ? `${inLf.slice(0, -1)}\n` : inLf;
}

/** @param {string} name @param {string} text */
function requireSourceCode(name, text) {
  const position = text.indexOf("\0");
  if (position >= 0) {
    const place = countCharacters(text.slice(0, position)) + 1;
    throw new UserError(
      `The ${name} has a NUL character at position ${place}, which no source file has; remove it and try again.`,
    );
  }
  requireValidUnicode(text);
}

/** @param {CompletionRequest} request @param {number} vocabSize */
function requireKnown(request, vocabSize) {
  const given = /** @type {const} */ ([
    ["prompt", request.prefix_ids ?? []],
    ["logit_bias", request.sampling.logit_bias.map(([id]) => id)],
  ]);
  for (const [name, ids] of given) {
    const unknown = ids.find((id) => !(id >= 0 && id < vocabSize));
    if (unknown !== undefined) {
      throw new UserError(`The ${name} has the token ${unknown}; the model's tokens are 0 to ${vocabSize - 1}.`);
    }
  }
}

/** @typedef {{ids: number[], isCut: boolean}} Encoded */

/** @param {Encoded} prefix @param {number} nPrefix @param {Encoded} suffix @param {number} nSuffix */
function truncationNotices(prefix, nPrefix, suffix, nSuffix) {
  const notices = [];
  if (nPrefix < prefix.ids.length) {
    const said = countSaid(prefix.ids.length, prefix.isCut);
    notices.push(`The model reads only the last ${inGroups(nPrefix)} of ${said} tokens before the cursor.`);
  }
  if (nSuffix < suffix.ids.length) {
    const said = countSaid(suffix.ids.length, suffix.isCut);
    notices.push(`The model reads only the first ${inGroups(nSuffix)} of ${said} tokens after the gap.`);
  }
  return notices;
}

/** A number of tokens, as text; with `atLeast`, there may be more. @param {number} count @param {boolean} atLeast */
function countSaid(count, atLeast) {
  return atLeast ? `more than ${inGroups(count)}` : inGroups(count);
}

/** @param {number} count */
function inGroups(count) {
  return count.toLocaleString("en-US");
}

/**
 * The end of `prefix` and the beginning of `suffix`; either may use room that the other does not need.
 *
 * The prefix is truncated in whole steps, so while somebody types it mostly keeps its first token, and the prefix cache
 * stays valid.
 *
 * @param {number[]} prefix
 * @param {number[]} suffix
 * @param {number} room
 */
function cut(prefix, suffix, room) {
  const forSuffix = Math.min(suffix.length, Math.max(Math.trunc(room * SUFFIX_SHARE), room - prefix.length));
  const excess = Math.max(0, prefix.length - (room - forSuffix));
  const step = Math.max(1, Math.trunc(room * CUT_SHARE));
  return { prefix: prefix.slice(Math.ceil(excess / step) * step), suffix: suffix.slice(0, forSuffix) };
}
