/**
 * NumPy's `default_rng(seed).random()`, so that a seed gives the same text in the browser as on a server.
 *
 * The generator is PCG64 (O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for
 * Random Number Generation", 2014: the variant XSL-RR 128/64), seeded by NumPy's SeedSequence (NEP 19; the hash is that
 * of O'Neill, "Developing a seed_seq Alternative", 2015).
 */

export const MAX_SEED = 2 ** 32 - 1;

const POOL_SIZE = 4;
const INIT_A = 0x43b0d7e5;
const MULT_A = 0x931e8875;
const INIT_B = 0x8b51f9dd;
const MULT_B = 0x58f38ded;
const MIX_MULT_LEFT = 0xca01f9dd;
const MIX_MULT_RIGHT = 0x4973f715;
const MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;
const MASK_64 = (1n << 64n) - 1n;
const MASK_128 = (1n << 128n) - 1n;

/** The random numbers of one seed. */
export class Generator {
  /** @param {number} seed an integer between 0 and {@link MAX_SEED}. */
  constructor(seed) {
    const [high, low, streamHigh, streamLow] = seedState(seed);
    this._increment = ((((streamHigh << 64n) | streamLow) << 1n) | 1n) & MASK_128;
    this._state = 0n;
    this._step();
    this._state = (this._state + ((high << 64n) | low)) & MASK_128;
    this._step();
  }

  /**
   * The next number, at least 0 and below 1.
   *
   * @returns {number}
   */
  random() {
    this._step();
    const mixed = (this._state >> 64n) ^ (this._state & MASK_64);
    const turn = this._state >> 122n;
    const rotated = ((mixed >> turn) | (mixed << (64n - turn))) & MASK_64;
    return Number(rotated >> 11n) * 2 ** -53;
  }

  _step() {
    this._state = (this._state * MULTIPLIER + this._increment) & MASK_128;
  }
}

/**
 * A seed for a request that has none.
 *
 * @returns {number}
 */
export function randomSeed() {
  return Math.floor(Math.random() * (MAX_SEED + 1));
}

/**
 * `SeedSequence(seed).generate_state(4, uint64)`
 *
 * @param {number} seed
 * @returns {bigint[]}
 */
function seedState(seed) {
  const pool = mixedPool(seed);
  let constant = INIT_B;
  const words = Array.from({ length: 8 }, (_, index) => {
    let word = (pool[index % POOL_SIZE] ^ constant) >>> 0;
    constant = Math.imul(constant, MULT_B) >>> 0;
    word = Math.imul(word, constant) >>> 0;
    return (word ^ (word >>> 16)) >>> 0;
  });
  return [0, 2, 4, 6].map((index) => (BigInt(words[index + 1]) << 32n) | BigInt(words[index]));
}

/** @param {number} seed */
function mixedPool(seed) {
  let constant = INIT_A;
  const hash = (/** @type {number} */ word) => {
    word = (word ^ constant) >>> 0;
    constant = Math.imul(constant, MULT_A) >>> 0;
    word = Math.imul(word, constant) >>> 0;
    return (word ^ (word >>> 16)) >>> 0;
  };
  const pool = [hash(seed >>> 0), hash(0), hash(0), hash(0)];
  for (let source = 0; source < POOL_SIZE; source++) {
    for (let target = 0; target < POOL_SIZE; target++) {
      if (source !== target) pool[target] = mix(pool[target], hash(pool[source]));
    }
  }
  return pool;
}

/** @param {number} first @param {number} second */
function mix(first, second) {
  const mixed = (Math.imul(MIX_MULT_LEFT, first) - Math.imul(MIX_MULT_RIGHT, second)) >>> 0;
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
