/** Pseudo-random logits that are the same in Python and in JavaScript (`tests/web/noise.py`). */

const STEP = 0x9e3779b9;
const PADDING = 7;
const BOOST = 7;

/** The finalizer of MurmurHash3. @param {number} word */
export function mixed(word) {
  word ^= word >>> 16;
  word = Math.imul(word, 0x85ebca6b);
  word ^= word >>> 13;
  word = Math.imul(word, 0xc2b2ae35);
  return (word ^ (word >>> 16)) >>> 0;
}

/** Numbers between -2 and 2. @param {number} seed @param {number} size */
export function noise(seed, size) {
  const start = mixed(seed);
  return Float32Array.from({ length: size }, (_, place) => (mixed(start + Math.imul(place, STEP)) >>> 16) / 2 ** 14 - 2);
}

/** Logits that depend on all tokens so far, and prefer those of a `script` that begins at a position. */
export class NoiseRunner {
  /** @param {number} vocabSize */
  constructor(vocabSize) {
    this.nPositions = 128;
    this._size = vocabSize + PADDING;
    /** @type {number[]} */
    this._hashes = [];
    /** @type {number[]} */
    this.script = [];
    this.beginsAt = 0;
    this.nPrefilled = 0;
    this.nSteps = 0;
  }

  /** @param {number[]} ids @param {number} start @param {number} nLogits */
  async prefill(ids, start, nLogits) {
    this.nPrefilled += ids.length;
    this.nSteps += 1;
    const rows = ids.map((id, index) => this._row(id, start + index));
    const logits = new Float32Array(nLogits * this._size);
    rows.slice(-nLogits).forEach((row, index) => logits.set(row, index * this._size));
    return logits;
  }

  /** @param {number} id @param {number} position */
  _row(id, position) {
    if (position > this._hashes.length) throw new Error("what came before was not prefilled");
    this._hashes.length = position;
    this._hashes.push(mixed((this._hashes[position - 1] ?? 0) + id + 1));
    const row = noise(this._hashes[position], this._size);
    const place = position + 1 - this.beginsAt;
    if (place >= 0 && place < this.script.length) row[this.script[place]] += BOOST;
    return row;
  }
}
