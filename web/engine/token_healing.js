/**
 * Token healing: continue a prompt that ends inside a token as if it did not.
 *
 * A text is tokenized from the left, so a prompt often ends in other tokens than the same text would have if it went on.
 * So tokens at the end of the prompt are removed, as far as they could change, and generation begins with tokens that
 * agree with the removed text. `santacoder/engine/token_healing.py` says why it does what it does.
 */

import { countBytes, hasLetterOrDigit, isSpace, lastCharacter } from "./characters.js";
import { UserError } from "./errors.js";
import { isInsideLine } from "./gap_start.js";

/** @typedef {import("./tokenizer.js").Tokenizer} Tokenizer */

// what may follow: letters, the ends of English contractions, white space, a digit, punctuation
const PROBES = ["a", "s", "e", "l", " ", " a", "\n", "0", "."];
// tokens from the end within which the boundary is searched
const WINDOW = 24;
// maximum number of removed tokens: a run of white space, punctuation or letters without spaces may be longer
const MOST = 8;

/**
 * Whether token healing is on if nobody says otherwise: for text to continue; and for gaps, unless the prefix ends in
 * punctuation at the end of a line.
 *
 * @param {string} prefix
 * @param {string | null} suffix
 */
export function isOnByDefault(prefix, suffix) {
  const last = lastCharacter(prefix);
  const isPunctuation = !(hasLetterOrDigit(last) || isSpace(last) || last === "_");
  return suffix === null || !isPunctuation || isInsideLine(prefix, suffix);
}

/** Which tokens of one tokenizer agree with the beginning of a text. Texts are bytes, one in each unit of a string. */
export class TokenHealing {
  /** @param {Tokenizer} tokenizer */
  constructor(tokenizer) {
    this._tokenizer = tokenizer;
    /** @type {{texts: string[], ids: number[]} | null} */
    this._sorted = null;
  }

  /**
   * How many tokens at the end of `ids` could change once more text follows.
   *
   * @param {readonly number[]} ids
   */
  nOpen(ids) {
    const text = this._tokenizer.decode(ids.slice(-WINDOW));
    let left = countBytes(text.slice(this._settled(text)));
    let count = 0;
    while (left > 0 && count < Math.min(MOST, ids.length)) {
      count += 1;
      left -= this._size(ids[ids.length - count]);
    }
    return count;
  }

  /**
   * Ids of the tokens that begin with `bytes`, and of those that are an allowed prefix of it. There is at least one;
   * `bytes` must not be empty.
   *
   * @param {Uint8Array} bytes
   * @returns {number[]}
   */
  agreeing(bytes) {
    const covering = this._covering(asUnits(bytes));
    return [...covering, ...this._beginning(bytes, covering.length > 0)];
  }

  /** The position from which `text` may still be split into other tokens. @param {string} text */
  _settled(text) {
    const starts = this._tokenizer.wordStarts(text);
    const begin = starts.length >= 3 ? starts[starts.length - 3] : 0;
    const end = text.slice(begin);
    let settled = [...this._tokenizer.wordStarts(end), end.length];
    for (const probe of PROBES) {
      const probed = new Set(this._tokenizer.wordStarts(end + probe));
      settled = settled.filter((start) => probed.has(start));
    }
    return begin + Math.max(0, ...settled);
  }

  /** Ids of the tokens that begin with `text`. @param {string} text */
  _covering(text) {
    const { texts, ids } = this._tokens();
    const first = firstFrom(texts, text);
    let end = first;
    while (end < texts.length && texts[end].startsWith(text)) end++;
    return ids.slice(first, end);
  }

  /**
   * Tokens that spell a prefix of `bytes`: its first token, and those after which the pre-tokenizer splits it once more
   * text follows. Other prefixes of a word begin other words, and would be likely because of those.
   *
   * @param {Uint8Array} bytes
   * @param {boolean} isCovered
   */
  _beginning(bytes, isCovered) {
    /** @type {Set<number>} */
    const found = new Set();
    const text = asText(bytes);
    for (const probe of text === null ? [] : ["", "a", "0", "("]) {
      const first = this._tokenizer.encode(text + probe)[0];
      const size = this._size(first);
      if (size < bytes.length && (!probe || this._splits(text + probe, size))) found.add(first);
    }
    if (!found.size && !isCovered) found.add(this._longest(asUnits(bytes)));
    return [...found].sort((first, second) => first - second);
  }

  /** Whether the pre-tokenizer splits `text` after `size` bytes. @param {string} text @param {number} size */
  _splits(text, size) {
    return this._tokenizer.wordStarts(text).some((start) => countBytes(text.slice(0, start)) === size);
  }

  /** The longest token that is a prefix of `text`; single bytes are tokens, too. @param {string} text */
  _longest(text) {
    const { texts, ids } = this._tokens();
    for (let size = text.length - 1; size > 0; size--) {
      const index = firstFrom(texts, text.slice(0, size));
      if (texts[index] === text.slice(0, size)) return ids[index];
    }
    throw new UserError("The model has no token for the end of the prompt; end it elsewhere.");
  }

  /** @param {number} id */
  _size(id) {
    return this._tokenizer.decodeBytes([id]).length;
  }

  /** All tokens but the special ones, sorted by their bytes. */
  _tokens() {
    if (this._sorted === null) {
      const { vocabSize, specialIds } = this._tokenizer;
      const tokens = Array.from({ length: vocabSize }, (_, id) => ({
        id,
        text: asUnits(this._tokenizer.decodeBytes([id])),
      })).filter(({ id, text }) => text && !specialIds.has(id));
      tokens.sort((first, second) => (first.text < second.text ? -1 : first.text > second.text ? 1 : 0));
      this._sorted = { texts: tokens.map(({ text }) => text), ids: tokens.map(({ id }) => id) };
    }
    return this._sorted;
  }
}

/** A string with one byte in each unit, which is sorted like bytes. @param {Uint8Array} bytes */
function asUnits(bytes) {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

/** The text that `bytes` spell; null where they begin or end inside a character. @param {Uint8Array} bytes */
function asText(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** The index of the first of sorted `texts` that is not before `text`. @param {string[]} texts @param {string} text */
function firstFrom(texts, text) {
  let low = 0;
  let high = texts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (texts[middle] < text) low = middle + 1;
    else high = middle;
  }
  return low;
}
