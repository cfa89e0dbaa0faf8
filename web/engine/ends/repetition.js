/**
 * Ends a text that has begun to repeat itself, and cuts off what was repeated.
 *
 * A repetition is a line with a letter or digit that occurs a third time in a row, not counting blank lines, or a run of
 * tokens that occurs a fourth time in a row. For a run without letters, such as the zeros of an array, it is the
 * sixteenth time. Text that equals what came before is held back until it differs. So only one copy has been shown when
 * the text ends, and nothing has to be removed.
 */

import { hasLetter, hasLetterOrDigit, lastCharacters, strip, stripEnd } from "../characters.js";

const LINES = 3;
const RUNS = 4;
const PLAIN_RUNS = 16;
/** Length of the longest run that is detected, in tokens. */
const LONGEST = 64;
/** Characters of the prompt's last line that are compared; every token copies them. */
const GIVEN = 4096;

/** Passes text on as long as it does not repeat itself. `cut` is what was cut off. */
export class RepetitionEnd {
  /** @param {string} prompt the text's first line continues its last line. */
  constructor(prompt = "") {
    this.cut = "";
    this._text = "";
    this._shown = 0;
    this._runs = new Runs();
    this._lines = new Lines(lastCharacters(prompt.slice(prompt.lastIndexOf("\n") + 1), GIVEN));
  }

  /**
   * The text that may be shown after the token `id` has added `text`, and whether the text has ended.
   *
   * @param {number} id
   * @param {string} text
   * @returns {[string, boolean]}
   */
  feed(id, text) {
    const begin = this._text.length;
    this._text += text;
    const [byRuns, isRun] = this._runs.add(id, begin, text);
    const [byLines, isLine] = this._lines.add(text, begin);
    if (isRun || isLine) return [this._end(Math.min(isRun ? byRuns : begin, isLine ? byLines : begin)), true];
    return [this._show(Math.min(byRuns, byLines)), false];
  }

  /**
   * The held-back text and `text`, and whether the last line was one repetition too many.
   *
   * @param {string} text
   * @returns {[string, boolean]}
   */
  finish(text = "") {
    const begin = this._text.length;
    this._text += text;
    this._lines.add(text, begin);
    const [byLines, isLine] = this._lines.add("\n", begin + text.length);
    return isLine ? [this._end(byLines), true] : [this._show(this._text.length), false];
  }

  /** @param {number} to */
  _show(to) {
    const shown = this._text.slice(this._shown, Math.max(this._shown, to));
    this._shown += shown.length;
    return shown;
  }

  /** @param {number} at */
  _end(at) {
    const shown = this._show(at);
    this.cut = this._text.slice(this._shown);
    return shown;
  }
}

/** Runs of tokens: for each run length, how many of the last tokens equal the token that many positions before. */
class Runs {
  constructor() {
    /** @type {number[]} */
    this._ids = [];
    this._nSame = new Array(LONGEST + 1).fill(0); // by length
    /** @type {number[]} */
    this._begins = [];
    this._nPlain = [0]; // cumulative number of tokens without a letter
  }

  /**
   * Where the text begins to be as before, and whether it has been that for too long.
   *
   * @param {number} id
   * @param {number} begin
   * @param {string} text
   * @returns {[number, boolean]}
   */
  add(id, begin, text) {
    const nBefore = this._ids.length;
    for (let length = 1; length <= LONGEST; length++) {
      this._nSame[length] = this._ids[nBefore - length] === id ? this._nSame[length] + 1 : 0;
    }
    this._ids.push(id);
    this._begins.push(begin);
    this._nPlain.push(this._nPlain[nBefore] + Number(!hasLetter(text)));
    const tooLong = this._nSame.findIndex((_, length) => length > 0 && this._isTooLong(length));
    if (tooLong >= 0) return [this._begins[nBefore + 1 - this._nSame[tooLong]], true];
    const longest = Math.max(...this._nSame);
    return [longest ? this._begins[nBefore + 1 - longest] : begin + text.length, false];
  }

  /** @param {number} length */
  _isTooLong(length) {
    const nTokens = this._ids.length;
    if (this._nSame[length] < (RUNS - 1) * length) return false;
    const isPlain = this._nPlain[nTokens] - this._nPlain[nTokens - length] === length;
    return this._nSame[length] >= ((isPlain ? PLAIN_RUNS : RUNS) - 1) * length;
  }
}

/** Lines that equal the line before. */
class Lines {
  /** @param {string} line the prompt's last line */
  constructor(line) {
    this._line = line; // so far
    this._begin = -line.length;
    this._nGiven = line.length; // characters of the line that are the prompt's
    this._last = "";
    this._nSame = 0;
    this._second = 0; // where the second of the equal lines begins, with the line break before it
  }

  /** The position of the line break before the line. */
  get _break() {
    return Math.max(0, this._begin - 1);
  }

  /**
   * Where the text begins to be as before, and whether it has been that for too long.
   *
   * @param {string} text
   * @param {number} begin
   * @returns {[number, boolean]}
   */
  add(text, begin) {
    let [first, ...others] = text.split("\n");
    this._line += first;
    for (const other of others) {
      if (this._isOver()) return [this._second, true];
      begin += first.length + 1;
      this._line = first = other;
      this._begin = begin;
    }
    const isAlike = this._last.startsWith(this._line);
    if (this._nSame > 1 && (isAlike || !strip(this._line))) return [this._second, false];
    if (this._last && isAlike) return [this._break, false];
    return [this._begin + this._line.length, false];
  }

  /** Record the complete line; whether it is one repetition too many. */
  _isOver() {
    const isOwn = strip(this._line.slice(this._nGiven)) !== "";
    this._nGiven = 0;
    if (!isOwn) return false; // blank, or the prompt's alone
    const line = stripEnd(this._line);
    if (line !== this._last || !hasLetterOrDigit(line)) {
      this._last = line;
      this._nSame = 1;
      return false;
    }
    this._nSame += 1;
    if (this._nSame === 2) this._second = this._break;
    return this._nSame >= LINES;
  }
}
