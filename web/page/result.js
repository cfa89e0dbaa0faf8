/** The result of a run: the code with what was written in it, and the facts that are told about it. */

export const GAP = "<FILL_HERE>";
const ENDS = { length: "hit the length limit", cancelled: "stopped", stop: "finished" };

/**
 * @typedef {{text: string, tokens: {offset: number, text: string}[], reason: string}} Completion the text of a gap.
 * @typedef {{seed: number, completions: Completion[]}} Candidate
 * @typedef {{parts: string[], candidates: Candidate[], revision: string, notices: string[], nPrompt: number, nTokens: number,
 *   msToFirstToken: number, began: number, last: number}} Result
 *   the code around the gaps, and the candidates that were begun; the first and the last token came at the milliseconds
 *   `began` and `last`.
 */

/** @param {string[]} parts @param {string} revision @param {Candidate[]} candidates those of an earlier run. @returns {Result} */
export function newResult(parts, revision, candidates) {
  return { parts, candidates, revision, notices: [], nPrompt: 0, nTokens: 0, msToFirstToken: 0, began: 0, last: 0 };
}

/**
 * Add what was written for a candidate to it, and the candidate to the result if this is its first text.
 *
 * @param {Result} result @param {Candidate} candidate
 * @param {import("../engine/task.js").Update & {at: number}} update
 * @param {number} ms since the run began.
 */
export function add(result, candidate, { gap, text, tokens, reason, notices, nPrompt, at }, ms) {
  if (!result.candidates.includes(candidate)) result.candidates.push(candidate);
  const completion = (candidate.completions[gap] ??= { text: "", tokens: [], reason: "" });
  completion.tokens.push(...tokens);
  Object.assign(completion, { text, reason });
  result.nPrompt ||= nPrompt;
  const nNew = result.nPrompt ? tokens.filter(({ respelled }) => !respelled).length : 0; // the opening comes first
  if (nNew) {
    result.msToFirstToken ||= ms;
    result.began ||= at;
    result.last = at;
    result.nTokens += nNew;
  }
  for (const notice of notices) if (!result.notices.includes(notice)) result.notices.push(notice);
}

/**
 * The code with the gaps that a candidate has filled, and the tokens of their texts with their places in it.
 *
 * @param {string[]} parts @param {Candidate} candidate
 */
export function filled(parts, { completions }) {
  let code = parts[0];
  const written = [];
  for (const [gap, { text, tokens }] of completions.entries()) {
    const start = code.length;
    code += text + (parts[gap + 1] ?? "");
    for (const [index, token] of tokens.entries()) {
      const begin = start + token.offset;
      const end = begin + token.text.length;
      if (token.text && end <= start + text.length) written.push({ ...token, gap, index, start: begin, end });
    }
  }
  const rest = parts.slice(completions.length + 1).map((part) => GAP + part);
  if (!completions.length && parts.length > 1) return { code: parts.join(GAP), written };
  return { code: code + rest.join(""), written };
}

/**
 * What is told of a run, in one line: how fast it is, how it ended once it has, and the engine's notices.
 *
 * @param {Result} result @param {Candidate} candidate the one in sight.
 * @param {boolean} isEnded @param {number} nThreads
 */
export function factsOf(result, candidate, isEnded, nThreads) {
  const rate = (1000 * (result.nTokens - 1)) / (result.last - result.began);
  const facts = [`${result.nTokens} token${result.nTokens === 1 ? "" : "s"}`, Number.isFinite(rate) ? `${rate.toFixed(0)} tokens/s in this browser` : "in this browser"];
  if (isEnded) {
    if (nThreads > 1) facts.push(`${nThreads} threads`);
    facts.push(endOf(result, candidate));
    if (result.msToFirstToken) facts.push(`first token ${result.msToFirstToken.toFixed(0)} ms after ${result.nPrompt} prompt tokens`);
    facts.push(`seed ${candidate.seed}`, result.revision);
  }
  const line = facts.join(" · ");
  return result.notices.length ? `${line}. ${result.notices.join(" ")}` : line;
}

function endOf({ parts }, { completions }) {
  const isWhole = completions.length === Math.max(1, parts.length - 1);
  const { reason } = completions.at(-1);
  return ENDS[isWhole && reason ? reason : "cancelled"] ?? reason;
}
