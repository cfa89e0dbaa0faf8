/** The pre-tokenizer: how a text is split into words before byte-level BPE, which never joins two of them. */

import { UserError } from "./errors.js";

// GPT-2's pattern (Radford et al., 2019), as in the tokenizers library
const WORDS =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
const SINGLE_DIGITS = /\p{N}|\P{N}+/gu;
const DIGITS = /\p{N}+|\P{N}+/gu;

/** Splits texts as the `pre_tokenizer` of a tokenizer.json says. */
export class PreTokenizer {
  /**
   * @param {any} description the part of the file; null for none.
   * @throws {UserError} it has steps that SantaCoder's tokenizers do not have.
   */
  constructor(description) {
    const steps = description === null ? [] : (description.pretokenizers ?? [description]);
    /** @type {RegExp[]} */
    this._patterns = [];
    for (const step of steps) {
      if (step.type === "Digits") {
        this._patterns.push(step.individual_digits ? SINGLE_DIGITS : DIGITS);
      } else if (step.type === "ByteLevel" && !step.add_prefix_space) {
        if (step.use_regex ?? true) this._patterns.push(WORDS);
      } else {
        throw new UserError(`The tokenizer splits texts with ${step.type}, which cannot be done in a browser.`);
      }
    }
  }

  /**
   * The words of `text`, which together are the text.
   *
   * @param {string} text
   * @returns {string[]}
   */
  split(text) {
    let words = text ? [text] : [];
    for (const pattern of this._patterns) words = words.flatMap((word) => word.match(pattern) ?? []);
    return words;
  }

  /**
   * The positions in `text` at which words begin, including 0.
   *
   * @param {string} text
   * @returns {number[]}
   */
  starts(text) {
    let position = 0;
    return this.split(text).map((word) => {
      const start = position;
      position += word.length;
      return start;
    });
  }
}
