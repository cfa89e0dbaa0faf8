/** Which order a prompt with a gap has, where the user has chosen none: prefix first (psm) or suffix first (spm). */

import { hasLetterOrDigit, lastCharacter } from "./characters.js";
import { isInsideLine } from "./gap_start.js";

/** @typedef {import("./fim.js").FimOrder} FimOrder */

/**
 * For requests without an order, if the model does not say which order it fills best: it suits prefix caching.
 *
 * @type {FimOrder}
 */
export const DEFAULT_ORDER = "spm";

/**
 * The order for a gap: the one that the revision fills best, as `recorded` in it. Without a record it is suffix first for
 * a gap that continues the line before it, or a word at its end.
 *
 * @param {string} prefix
 * @param {string} suffix
 * @param {FimOrder | null} recorded
 * @returns {FimOrder}
 */
export function automaticOrder(prefix, suffix, recorded) {
  const continues = isInsideLine(prefix, suffix) || hasLetterOrDigit(lastCharacter(prefix)) || prefix.endsWith("_");
  return recorded ?? (continues ? "spm" : "psm");
}
