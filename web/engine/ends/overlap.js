/** Cuts the end of a middle that repeats the beginning of the suffix. */

import { firstCharacters, strip } from "../characters.js";
import { borders } from "../stop.js";

/** Characters of the suffix that are compared at most. */
const CHARACTERS = 2000;
/** Repeated lines after which the middle ends at once; after fewer, more of it could still follow. */
const LINES = 2;
/** @type {Record<string, string>} */
const PAIRS = { ")": "(", "]": "[", "}": "{" };
const QUOTES = "\"'`";

/**
 * Holds back text that equals the beginning of `suffix`, and drops it if the middle ends with it: at least the rest of
 * the line that the gap is in, or else a line that is not blank. `cut` is what was dropped.
 *
 * Text that closes a bracket or quote of the middle is not a repetition: before another bracket, `f(x)` keeps its own,
 * but `x)` does not.
 */
export class SuffixOverlap {
  /** @param {string} suffix */
  constructor(suffix) {
    this.cut = "";
    this._suffix = firstCharacters(suffix, CHARACTERS);
    this._borders = borders(this._suffix);
    this._nSame = 0; // characters that end the text and begin the suffix
    this._least = lengthOfLines(this._suffix, 1);
    this._enough = lengthOfLines(this._suffix, LINES);
    this._middle = new Balance();
    this._held = "";
  }

  /**
   * Text that is safe to show, and whether enough of the suffix has been repeated.
   *
   * @param {string} text
   * @returns {[string, boolean]}
   */
  feed(text) {
    let shown = "";
    for (let index = 0; index < text.length; index++) {
      this._held += text[index];
      this._advance(text[index]);
      if (this._enough && this._nSame >= this._enough) {
        shown += this._release();
        if (this._drop()) return [shown, true];
      }
    }
    return [shown + this._release(), false];
  }

  /** The held-back text that is not a repetition. */
  finish() {
    if (this._least && this._nSame >= this._least && this._drop()) return "";
    const held = this._held;
    this._held = "";
    return held;
  }

  /** The automaton of Knuth, Morris and Pratt (1977). @param {string} character */
  _advance(character) {
    let same = this._nSame;
    while (same && this._suffix[same] !== character) same = this._borders[same - 1];
    this._nSame = this._suffix[same] === character ? same + 1 : 0;
  }

  _release() {
    const count = this._held.length - this._nSame;
    const shown = this._held.slice(0, count);
    this._held = this._held.slice(count);
    this._middle.add(shown);
    return shown;
  }

  /** Cut the held-back text, unless it closes something that the middle has opened. */
  _drop() {
    if (this._middle.isClosedBy(this._held)) return false;
    this.cut = this._held;
    this._held = "";
    return true;
  }
}

/** The open brackets and quotes of a text. */
class Balance {
  constructor() {
    /** @type {string[]} */
    this._open = [];
  }

  /** @param {string} text */
  add(text) {
    for (const character of text) this._take(character);
  }

  /** Whether `text` closes something that is open. @param {string} text */
  isClosedBy(text) {
    const after = new Balance();
    after._open = [...this._open];
    for (const character of text) {
      after._take(character);
      if (after._open.length < this._open.length) return true;
    }
    return false;
  }

  /** @param {string} character */
  _take(character) {
    const top = this._open.at(-1) ?? "";
    if (top && QUOTES.includes(top)) {
      if (character === top) this._open.pop();
    } else if (QUOTES.includes(character) || "([{".includes(character)) {
      this._open.push(character);
    } else if (character in PAIRS && top === PAIRS[character]) {
      this._open.pop();
    }
  }
}

/**
 * The length of `suffix` up to the end of `nLines` lines that are not blank; 0 if there are fewer.
 *
 * @param {string} suffix
 * @param {number} nLines
 */
function lengthOfLines(suffix, nLines) {
  let start = 0;
  for (const line of suffix.split("\n")) {
    const end = start + line.length;
    if (strip(line)) nLines -= 1;
    if (nLines === 0) return end;
    start = end + 1;
  }
  return 0;
}
