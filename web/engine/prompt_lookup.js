/**
 * Prompt lookup: draft the next tokens from an earlier occurrence of the last ones, and verify them in one step.
 *
 * It is that of `santacoder/engine/prompt_lookup.py`, where the numbers below are explained. In WebAssembly on one thread,
 * a step with eight tokens takes 2.5 times as long as one with a single token.
 */

/** Tokens in a row that a lookup must have predicted before it is verified; the first of a text needs no evidence. */
const TRUSTED = 3;
const SHORTEST = 7;
const LONGEST = 15;
const NGRAMS = [4, 3, 2];

/**
 * Predicts each token of a text from an earlier occurrence of the tokens before it, and drafts once the predictions have
 * been right.
 */
export class Drafting {
  constructor() {
    this._nRight = 0;
    this._hasDrafted = false;
    this._nSeen = 0;
    this._next = -1; // where the predicted next token stands; -1 if there is no prediction
    /** Where the latest occurrence of some tokens ends. @type {Map<string, number>} */
    this._after = new Map();
  }

  /**
   * Tokens that probably follow `ids`, at most `room`, if enough have been predicted in a row; the more were, the longer
   * the draft. If the text ends before the draft does, the draft continues with its own beginning.
   *
   * @param {readonly number[]} ids
   * @param {number} room
   * @returns {number[]}
   */
  draft(ids, room) {
    this._follow(ids);
    const length = Math.min(Math.max(SHORTEST, this._nRight), LONGEST, room);
    if (this._next < 0 || length <= 0 || (this._hasDrafted && this._nRight < TRUSTED)) return [];
    this._hasDrafted = true;
    const period = ids.length - this._next;
    return Array.from({ length }, (_, index) => ids[this._next + (index % period)]);
  }

  /** Compare the tokens that are new in `ids` with the predictions. @param {readonly number[]} ids */
  _follow(ids) {
    for (let end = this._nSeen + 1; end <= ids.length; end++) {
      if (this._next >= 0 && ids[this._next] === ids[end - 1]) {
        this._nRight += 1;
        this._next += 1;
      } else {
        this._nRight = 0;
        this._next = -1;
      }
      for (const size of NGRAMS) {
        if (end < size) continue;
        const ending = ids.slice(end - size, end).join();
        if (this._next < 0) this._next = this._after.get(ending) ?? -1;
        this._after.set(ending, end);
      }
    }
    this._nSeen = ids.length;
  }
}
