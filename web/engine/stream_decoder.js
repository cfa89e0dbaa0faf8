/** Decodes token ids one by one, holding back the bytes of incomplete characters. */

const NOTHING = new Uint8Array();

export class StreamDecoder {
  /** @param {readonly Uint8Array[]} tokenBytes the bytes of each token */
  constructor(tokenBytes) {
    this._tokenBytes = tokenBytes;
    this._held = NOTHING;
  }

  /**
   * The text that the token adds, without its first `skip` bytes. Invalid bytes become U+FFFD.
   *
   * @param {number} id
   * @param {number} skip
   * @returns {string}
   */
  feed(id, skip = 0) {
    const bytes = this._after(id, skip);
    const nHeld = incompleteLength(bytes);
    this._held = bytes.slice(bytes.length - nHeld);
    return decoded(bytes.subarray(0, bytes.length - nHeld));
  }

  /** Whether bytes of an incomplete character are held back. */
  get unfinished() {
    return this._held.length > 0;
  }

  /**
   * The text that {@link feed} would return, without changing the state.
   *
   * @param {number} id
   * @param {number} skip
   * @returns {string}
   */
  peek(id, skip = 0) {
    const bytes = this._after(id, skip);
    return decoded(bytes.subarray(0, bytes.length - incompleteLength(bytes)));
  }

  /** The remaining incomplete character, as U+FFFD. */
  finish() {
    const held = this._held;
    this._held = NOTHING;
    return decoded(held);
  }

  /** @param {number} id @param {number} skip */
  _after(id, skip) {
    const added = this._tokenBytes[id].subarray(skip);
    if (!this._held.length) return added;
    const bytes = new Uint8Array(this._held.length + added.length);
    bytes.set(this._held);
    bytes.set(added, this._held.length);
    return bytes;
  }
}

/** @param {Uint8Array} bytes */
function decoded(bytes) {
  return bytes.length ? new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes) : "";
}

/**
 * How many bytes at the end of `bytes` begin a character of UTF-8 that is not complete.
 *
 * @param {Uint8Array} bytes
 */
function incompleteLength(bytes) {
  for (let length = 1; length <= Math.min(3, bytes.length); length++) {
    const byte = bytes[bytes.length - length];
    if (byte >= 0x80 && byte < 0xc0) continue; // not the first of a character
    const second = length > 1 ? bytes[bytes.length - length + 1] : undefined;
    return length < characterLength(byte, second) ? length : 0;
  }
  return 0;
}

/**
 * The number of bytes of a character that begins with these two; 0 if none does (Unicode Standard, table 3-7). Those of
 * a surrogate, which are invalid, are held back as by Python's decoder.
 *
 * @param {number} first
 * @param {number | undefined} second
 */
function characterLength(first, second) {
  if (first < 0xc2 || first > 0xf4) return 0;
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const high = first === 0xf4 ? 0x8f : 0xbf;
  if (second !== undefined && (second < low || second > high)) return 0;
  return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}
