/** The events of a running request. */

/** @typedef {"stop" | "length" | "cancelled" | "error"} FinishReason */

/**
 * What ended a text whose reason is `stop`.
 *
 * @typedef {"end_of_text" | "stop_sequence" | "stop_at" | "repetition" | "suffix" | "min_logprob"} EndedBy
 */

/**
 * The first event: what became of the request. `prompt_end` are the last tokens of the prompt, for the `Accumulator`;
 * lines end in CRLF with `crlf`; `n_cached` prompt tokens need not be prefilled.
 *
 * @typedef {{type: "started", notices: string[], seed: number, prompt_ids: number[], n_cached: number,
 *   prompt_end: number[], crlf: boolean}} Started
 */

/**
 * One token was sampled. `text` may now be shown: it lags behind the token while it could be the beginning of a stop
 * sequence or of an unfinished character. `logprob` and `top` (id, logprob) are the model's own, before temperature and
 * truncation, in nats.
 *
 * With token healing, the first tokens spell the end of the prompt again. `n_typed` is how many of its bytes were left
 * before this token. Log-probabilities are then relative to the tokens that agree with the prompt.
 *
 * @typedef {{type: "token", text: string, id: number, logprob: number, top: [number, number][], n_typed: number}}
 *   TokenEvent
 */

/**
 * The last event. `text` is what had been held back; `message` says what went wrong if `reason` is error. `cut` was
 * generated but is not part of the text, because it repeats what comes before or after it.
 *
 * @typedef {{type: "finished", reason: FinishReason, text: string, message: string, ended_by: EndedBy | null,
 *   cut: string}} Finished
 */

/** @typedef {Started | TokenEvent | Finished} Event */

export {};
