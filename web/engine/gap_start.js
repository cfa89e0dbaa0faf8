/** The first token of a gap inside a line: not a line break, unless the model is sure of one. */

import { strip, stripEnd } from "./characters.js";

/** @typedef {import("./tokenizer.js").Tokenizer} Tokenizer */

/** The model is sure if the total probability of tokens that break the line is at least this. */
const SURE = 0.9;
// after these a statement continues; all but the brackets and the comma need something on the same line
const GOES_ON = "=([,.+-*/%&|<>!~^?";
const NEEDS_MORE = "=.+-*/%&|<>!~^?";
// after these a line may be complete, whatever blanks follow
const ENDS_LINE = ":{};)]";
const BLANKS = [0x20, 0x09, 0x0d];
const LINE_FEED = 0x0a;

/** Tokens that must not be sampled before the first character that is not white space. */
export class GapStart {
  /**
   * @param {string} prefix
   * @param {Tokenizer} tokenizer
   */
  constructor(prefix, tokenizer) {
    const breaks = lineBreaks(tokenizer);
    // an empty middle would leave the line as it is
    const ends = endsWithOne(stripEnd(prefix), NEEDS_MORE) ? [...tokenizer.specialIds] : [];
    this._breaks = [...new Set([...breaks, ...ends])].sort((first, second) => first - second);
  }

  /**
   * Ids that must not be sampled, where only `agreeing` ids can be, if they are given.
   *
   * @param {Float32Array} logits [V]
   * @param {readonly number[] | null} agreeing
   * @returns {readonly number[]}
   */
  avoided(logits, agreeing) {
    const possible = agreeing === null ? logits : agreeing.map((id) => logits[id]);
    const allowed = new Set(agreeing);
    const breaks = agreeing === null ? this._breaks : this._breaks.filter((id) => allowed.has(id));
    let highest = -Infinity;
    for (const logit of possible) highest = Math.max(highest, logit);
    let total = 0;
    for (const logit of possible) total += Math.exp(logit - highest);
    let ofBreaks = 0;
    for (const id of breaks) ofBreaks += Math.exp(logits[id] - highest);
    return ofBreaks >= SURE * total ? [] : breaks;
  }
}

/**
 * Whether the gap continues the line before it.
 *
 * @param {string} prefix
 * @param {string} suffix
 */
export function isInsideLine(prefix, suffix) {
  const line = prefix.slice(prefix.lastIndexOf("\n") + 1);
  const written = stripEnd(line);
  if (!written) return false;
  if (strip(suffix.split("\n", 1)[0]) || endsWithOne(written, GOES_ON)) return true;
  return line !== written && !endsWithOne(written, ENDS_LINE);
}

/** @type {WeakMap<Tokenizer, number[]>} */
const lineBreaksOf = new WeakMap();

/** Tokens that begin a new line, at once or after blanks. @param {Tokenizer} tokenizer @returns {number[]} */
function lineBreaks(tokenizer) {
  let found = lineBreaksOf.get(tokenizer);
  if (!found) {
    found = [];
    for (let id = 0; id < tokenizer.vocabSize; id++) {
      const first = tokenizer.decodeBytes([id]).find((byte) => !BLANKS.includes(byte));
      if (first === LINE_FEED) found.push(id);
    }
    lineBreaksOf.set(tokenizer, found);
  }
  return found;
}

/** Whether `text` ends with one of `characters`. @param {string} text @param {string} characters */
function endsWithOne(text, characters) {
  return text !== "" && characters.includes(text[text.length - 1]);
}
