/**
 * The beginning of a text: no token of white space twice before anything else is written.
 *
 * After some headers, models write tabs or line breaks up to the limit. A repetition that is only cut off leaves nothing
 * of such a text, so another token has to be sampled instead.
 */

import { countBytes } from "./characters.js";

/** @typedef {import("./tokenizer.js").Tokenizer} Tokenizer */

/** The tokens of white space that a blank text consists of: `avoided` must not be sampled again. */
export class BlankStart {
  /**
   * @param {Tokenizer} tokenizer
   * @param {readonly number[]} ids
   * @param {string} written the part of the text that has already been generated, as the last of `ids`.
   */
  constructor(tokenizer, ids = [], written = "") {
    this._tokenizer = tokenizer;
    /** @type {number[]} */
    this.avoided = [];
    let left = countBytes(written);
    for (let index = ids.length - 1; index >= 0 && left > 0; index--) {
      left -= tokenizer.decodeBytes([ids[index]]).length;
      this.add(ids[index]);
    }
  }

  /** Take note of a token of the text. @param {number} id */
  add(id) {
    const bytes = this._tokenizer.decodeBytes([id]);
    if (bytes.length && bytes.every(isSpaceByte)) this.avoided.push(id);
  }
}

/** @param {number} byte */
function isSpaceByte(byte) {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}
