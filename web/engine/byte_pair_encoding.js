/** Byte-pair encoding of one word (Sennrich et al., arXiv 1508.07909), in time n log n. */

import { UserError } from "./errors.js";

// an id is below this; a pair of ids is one number
const ID_LIMIT = 2 ** 24;
const MAX_CACHED = 20_000;
const LONGEST_CACHED = 64;

/** The merges of a tokenizer. */
export class BytePairEncoding {
  /**
   * @param {Record<string, number>} vocabulary ids by token, in the byte-level alphabet.
   * @param {readonly (string | [string, string])[]} merges pairs of tokens, the first merged first.
   * @param {boolean} ignoresMerges a word that is a token is never split.
   * @throws {UserError} a merge names what is no token.
   */
  constructor(vocabulary, merges, ignoresMerges) {
    this._vocabulary = new Map(Object.entries(vocabulary));
    this._ignoresMerges = ignoresMerges;
    /** @type {Map<number, {rank: number, id: number}>} */
    this._merges = new Map();
    merges.forEach((merge, rank) => {
      const [first, second] = typeof merge === "string" ? merge.split(" ") : merge;
      const ids = [first, second, first + second].map((token) => this._vocabulary.get(token));
      if (ids.includes(undefined)) throw new UserError(`The tokenizer's merge ${merge} names what is no token.`);
      const [left, right, id] = /** @type {number[]} */ (ids);
      this._merges.set(left * ID_LIMIT + right, { rank, id });
    });
    /** @type {Map<string, number[]>} */
    this._cache = new Map();
  }

  /**
   * The ids of `word`, which is spelled in the byte-level alphabet.
   *
   * @param {string} word
   * @returns {number[]}
   */
  encode(word) {
    const whole = this._ignoresMerges ? this._vocabulary.get(word) : undefined;
    if (whole !== undefined) return [whole];
    const known = this._cache.get(word);
    if (known) return known;
    const ids = this._merged(word);
    if (word.length <= LONGEST_CACHED) {
      if (this._cache.size >= MAX_CACHED) this._cache.clear();
      this._cache.set(word, ids);
    }
    return ids;
  }

  /** @param {string} word */
  _merged(word) {
    /** @type {number[]} */
    const ids = [];
    for (const byte of word) {
      const id = this._vocabulary.get(byte);
      if (id !== undefined) ids.push(id);
    }
    const following = ids.map((_, index) => index + 1);
    const preceding = ids.map((_, index) => index - 1);
    const queue = new MergeQueue();
    const propose = (/** @type {number} */ index) => {
      if (index < 0 || following[index] >= ids.length) return;
      const merge = this._merges.get(ids[index] * ID_LIMIT + ids[following[index]]);
      if (merge) queue.add({ ...merge, index });
    };
    for (let index = 0; index < ids.length; index++) propose(index);
    for (let next = queue.take(); next; next = queue.take()) {
      const { index, id } = next;
      const right = following[index];
      if (ids[index] < 0 || right >= ids.length) continue;
      if (this._merges.get(ids[index] * ID_LIMIT + ids[right])?.id !== id) continue; // one of the two has been merged
      ids[index] = id;
      ids[right] = -1;
      following[index] = following[right];
      if (following[index] < ids.length) preceding[following[index]] = index;
      propose(preceding[index]);
      propose(index);
    }
    return ids.filter((id) => id >= 0);
  }
}

/**
 * A merge that is possible in a word, at the position `index`.
 *
 * @typedef {{rank: number, id: number, index: number}} Merge
 */

/** Possible merges, those with the lowest rank first, and from left to right. A binary heap. */
class MergeQueue {
  constructor() {
    /** @type {Merge[]} */
    this._heap = [];
  }

  /** @param {Merge} merge */
  add(merge) {
    const heap = this._heap;
    let place = heap.length;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!comesFirst(merge, heap[parent])) break;
      heap[place] = heap[parent];
      place = parent;
    }
    heap[place] = merge;
  }

  /** @returns {Merge | undefined} */
  take() {
    const heap = this._heap;
    const first = heap[0];
    const last = heap.pop();
    if (!heap.length || !last) return first;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && comesFirst(heap[child + 1], heap[child])) child += 1;
      if (!comesFirst(heap[child], last)) break;
      heap[place] = heap[child];
      place = child;
    }
    heap[place] = last;
    return first;
  }
}

/** @param {Merge} first @param {Merge} second */
function comesFirst(first, second) {
  return first.rank < second.rank || (first.rank === second.rank && first.index < second.index);
}
