/** Fill-in-the-middle: prompts for inference (Bavarian et al., arXiv 2207.14255). */

/** @typedef {"psm" | "spm"} FimOrder */

/**
 * The prompt after which the model generates the text between `prefix` and `suffix`, followed by end-of-text.
 *
 * @param {import("./tokenizer.js").Tokenizer} tokenizer
 * @param {readonly number[]} prefix token ids
 * @param {readonly number[]} suffix token ids
 * @param {FimOrder} order
 * @returns {number[]}
 */
export function promptIds(tokenizer, prefix, suffix, order) {
  const { fimPrefixId, fimSuffixId, fimMiddleId } = tokenizer;
  if (order === "psm") return [fimPrefixId, ...prefix, fimSuffixId, ...suffix, fimMiddleId];
  return [fimPrefixId, fimSuffixId, ...suffix, fimMiddleId, ...prefix];
}
