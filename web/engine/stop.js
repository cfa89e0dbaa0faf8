/** Stop sequences in streamed text. */

/**
 * Passes text on up to the first stop sequence, holding back what could still become one.
 *
 * It looks at every character once (Knuth, Morris and Pratt, 1977), however much text is held back.
 */
export class StopFinder {
  /** @param {readonly string[]} stop */
  constructor(stop) {
    this._stop = stop.map((sequence) => ({ sequence, table: borders(sequence) }));
    /** For each sequence, the length of its prefix that the text ends with. */
    this._matched = stop.map(() => 0);
    this._held = "";
  }

  /**
   * Text that is safe to show, and whether a stop sequence was reached.
   *
   * @param {string} text
   * @returns {[string, boolean]}
   */
  feed(text) {
    let begin = Infinity;
    this._stop.forEach(({ sequence }, index) => {
      const end = this._advance(index, text);
      if (end !== null) begin = Math.min(begin, this._held.length + end - sequence.length);
    });
    this._held += text;
    const isReached = begin < Infinity;
    const count = isReached ? begin : this._held.length - Math.max(0, ...this._matched);
    const shown = this._held.slice(0, count);
    this._held = isReached ? "" : this._held.slice(count);
    return [shown, isReached];
  }

  /** The text still held back, when no more text comes. */
  finish() {
    const held = this._held;
    this._held = "";
    return held;
  }

  /**
   * Process `text`; the position in it where the sequence first ends, if it does.
   *
   * @param {number} index
   * @param {string} text
   * @returns {number | null}
   */
  _advance(index, text) {
    const { sequence, table } = this._stop[index];
    let matched = this._matched[index];
    for (let position = 0; position < text.length; position++) {
      while (matched && sequence[matched] !== text[position]) matched = table[matched - 1];
      if (sequence[matched] === text[position]) matched += 1;
      if (matched === sequence.length) return position + 1;
    }
    this._matched[index] = matched;
    return null;
  }
}

/**
 * For each prefix of `sequence`, the length of its longest border: a shorter prefix that is also its suffix.
 *
 * @param {string} sequence
 * @returns {number[]}
 */
export function borders(sequence) {
  const table = new Array(sequence.length).fill(0);
  let length = 0;
  for (let position = 1; position < sequence.length; position++) {
    while (length && sequence[position] !== sequence[length]) length = table[length - 1];
    if (sequence[position] === sequence[length]) length += 1;
    table[position] = length;
  }
  return table;
}
