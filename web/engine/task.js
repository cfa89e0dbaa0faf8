/**
 * Candidates for a user's code: its gaps are filled in order, and a candidate may continue from a token that was chosen.
 *
 * It does for one user what `app/generation/run.py` and `continuation.py` do on a server.
 */

import { Accumulator } from "./accumulator.js";
import { automaticOrder } from "./gap_order.js";
import { generate } from "./generate.js";
import { CrlfWriter, toLf } from "./line_ends.js";
import { buildPrompt, completionRequest } from "./request.js";
import { isOnByDefault, TokenHealing } from "./token_healing.js";
import { UserError } from "./errors.js";

/** @typedef {import("./generate.js").Runner} Runner */
/** @typedef {import("./fim.js").FimOrder} FimOrder */
/** @typedef {import("./languages.js").Language} Language */
/** @typedef {import("./request.js").CompletionRequest} CompletionRequest */
/** @typedef {import("./request.js").GivenRequest} GivenRequest */
/** @typedef {import("./sampling_params.js").SamplingParams} SamplingParams */
/** @typedef {import("./tokenizer.js").Tokenizer} Tokenizer */

/**
 * A token of a text: `text` is what it added, at `offset` in the text. A `respelled` one only spells the end of the prompt
 * again, and has no text.
 *
 * @typedef {{id: number, logprob: number, top: {id: number, text: string, logprob: number}[], text: string, offset: number,
 *   respelled: boolean}} Token
 */

/** The fixed beginning of a candidate: the texts of filled gaps, and the first tokens of the next one. */
/** @typedef {{texts: string[], tokens: Token[]}} Opening */

/**
 * The user's code, split at its gaps: a single part is continued at its end; of several, each gap is filled after those
 * before it. `fimOrder` is the order that the revision records.
 *
 * @typedef {{parts: string[], language: Language, sampling: Partial<SamplingParams>, opening?: Opening,
 *   fimOrder?: FimOrder | null}} Task
 */

/**
 * The state of the gap number `gap`: its whole text so far, the tokens added since the last update, and why it ended, once
 * it has. `nPrompt` tokens were read for it.
 *
 * @typedef {{gap: number, text: string, tokens: Token[], reason: string, notices: string[], nPrompt: number}} Update
 */

/**
 * Write one candidate.
 *
 * @param {Task} task
 * @param {Tokenizer} tokenizer
 * @param {Runner} runner
 * @param {{signal?: AbortSignal}} [options] the signal cancels the candidate.
 * @returns {AsyncGenerator<Update, void, void>}
 * @throws {UserError} the task cannot be done; the message is a sentence for the user.
 */
export async function* fill(task, tokenizer, runner, { signal } = {}) {
  const texts = [...(task.opening?.texts ?? [])];
  const nGaps = Math.max(1, task.parts.length - 1);
  /** @type {Token[]} */
  let opening = task.opening?.tokens ?? [];
  while (texts.length < nGaps && !signal?.aborted) {
    let last = "";
    for await (const update of gapOf(task, texts, opening, tokenizer, runner, signal)) {
      last = update.text;
      yield update;
    }
    texts.push(last);
    opening = [];
  }
}

/**
 * @param {Task} task
 * @param {readonly string[]} texts of the gaps before it
 * @param {Token[]} chosen its first tokens
 * @param {Tokenizer} tokenizer
 * @param {Runner} runner
 * @param {AbortSignal | undefined} signal
 * @returns {AsyncGenerator<Update, void, void>}
 */
async function* gapOf(task, texts, chosen, tokenizer, runner, signal) {
  const gap = texts.length;
  let request = requestOf(task, texts);
  /** @type {Token[]} */
  let opening = [];
  if (chosen.length) ({ request, opening } = requestAfter(chosen, request, tokenizer, runner.nPositions));
  const begun = opening.map(({ text }) => text).join("");
  yield { gap, text: begun, tokens: opening, reason: "", notices: [], nPrompt: 0 };
  if (opening.length && tokenizer.specialIds.has(opening[opening.length - 1].id)) {
    yield { gap, text: begun, tokens: [], reason: "stop", notices: [], nPrompt: 0 };
    return;
  }
  const accumulator = new Accumulator(tokenizer, { withRespelled: true });
  for await (const event of generate(request, tokenizer, runner, { signal })) {
    const nRespelled = accumulator.nRespelled;
    const tokens = accumulator.add(event).map((token) => ({
      ...token,
      text: tokenizer.specialIds.has(token.id) ? "" : token.text,
      offset: begun.length + token.offset,
      respelled: accumulator.nRespelled > nRespelled,
    }));
    if (event.type === "finished" && event.reason === "error") throw new UserError(event.message);
    const { notices, nPrompt } =
      event.type === "started"
        ? { notices: event.notices, nPrompt: event.prompt_ids.length }
        : { notices: [], nPrompt: 0 };
    const reason = event.type === "finished" ? event.reason : "";
    yield { gap, text: begun + accumulator.text, tokens, reason, notices, nPrompt };
  }
}

/** The request for the gap after `texts`. @param {Task} task @param {readonly string[]} texts @returns {GivenRequest} */
function requestOf({ parts, language, sampling, fimOrder = null }, texts) {
  const gap = texts.length;
  const isGap = parts.length > 1;
  const prefix = texts.map((text, index) => parts[index] + text).join("") + parts[gap];
  const suffix = isGap ? parts.slice(gap + 1).join("") : null;
  return {
    prefix,
    suffix,
    fim_order: isGap ? automaticOrder(parts[0], parts[1], fimOrder) : null,
    language,
    fit_gap: isGap,
    sampling: {
      ...sampling,
      token_healing: isOnByDefault(parts[gap], suffix), // only what the user has typed may end inside a token
      ...(isGap ? { stop_at: /** @type {const} */ ("none") } : {}), // the code after a gap ends it
    },
  };
}

/**
 * `given` with the first tokens of its output: they are appended to the prompt as the model sees it.
 *
 * @param {readonly Token[]} chosen
 * @param {GivenRequest} given
 * @param {Tokenizer} tokenizer
 * @param {number} nPositions
 * @returns {{request: GivenRequest, opening: Token[]}} and `chosen` with the text that each token adds at its place.
 */
export function requestAfter(chosen, given, tokenizer, nPositions) {
  const request = completionRequest(given);
  const prompt = buildPrompt(request, tokenizer, nPositions, undefined, new TokenHealing(tokenizer));
  const opening = inPlace(chosen, tokenizer, prompt.typed.length, request.crlf);
  const begun = opening.map(({ id }) => id);
  const nNew = opening.filter(({ respelled }) => !respelled).length;
  return {
    opening,
    request: {
      prefix: request.prefix,
      suffix: request.suffix,
      sampling: { ...request.sampling, max_new_tokens: Math.max(0, prompt.maxNewTokens - nNew) },
      prefix_ids: [...prompt.ids, ...begun],
      crlf: request.crlf,
      language: request.language,
      fit_gap: request.fit_gap,
      is_begun: true,
      written: opening.filter(({ respelled }) => !respelled).map(({ id, text }) => [id, toLf(text)]),
      typed: prompt.typed.slice(tokenizer.decodeBytes(begun).length),
    },
  };
}

/**
 * `chosen` with the text that each token adds at its place; the first `nTyped` bytes belong to the end of the prompt.
 *
 * @param {readonly Token[]} chosen
 * @param {Tokenizer} tokenizer
 * @param {number} nTyped
 * @param {boolean} crlf
 * @returns {Token[]}
 */
function inPlace(chosen, tokenizer, nTyped, crlf) {
  const decoder = tokenizer.streamDecoder();
  const lineEnds = crlf ? new CrlfWriter() : null;
  let offset = 0;
  return chosen.map((token) => {
    if (tokenizer.specialIds.has(token.id)) return { ...token, text: "", offset, respelled: false };
    const size = tokenizer.decodeBytes([token.id]).length;
    const respelled = size > 0 && size <= nTyped;
    const added = decoder.feed(token.id, nTyped);
    const text = lineEnds?.feed(added) ?? added;
    nTyped = Math.max(0, nTyped - size);
    const placed = { ...token, text, offset, respelled };
    offset += text.length;
    return placed;
  });
}
