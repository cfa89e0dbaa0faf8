/**
 * The beginning of a text: no token of white space twice before anything else is written.
 *
 * After some headers, models write tabs or line breaks up to the limit. A repetition that is only cut off leaves nothing
 * of such a text, so another token has to be sampled instead.
 */

/** @typedef {import("./tokenizer.js").Tokenizer} Tokenizer */

/** The tokens of white space that a blank text consists of: `avoided` must not be sampled again. */
export class BlankStart {
  /**
   * @param {Tokenizer} tokenizer
   * @param {readonly number[]} ids the tokens that have already been generated.
   */
  constructor(tokenizer, ids) {
    this._tokenizer = tokenizer;
    /** @type {number[]} */
    this.avoided = [];
    for (const id of ids) this.add(id);
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
