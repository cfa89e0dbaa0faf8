/** Byte-level BPE with single digits and five special tokens (arXiv 2301.03988, section 4.2). */

import { BytePairEncoding } from "./byte_pair_encoding.js";
import { countCharacters, unitOf } from "./characters.js";
import { UserError } from "./errors.js";
import { PreTokenizer } from "./pre_tokenizer.js";
import { StreamDecoder } from "./stream_decoder.js";

// texts with fewer characters are always encoded whole, so that their tokens can be counted
const ALWAYS_WHOLE = 50_000;
// how far to search for a position to cut at
const WINDOW = 10_000;

/** Converts text to token ids and back without loss. The ids of the special tokens come from the file. */
export class Tokenizer {
  /**
   * @param {any} file the contents of a `tokenizer.json`.
   * @throws {UserError} it is not a tokenizer like SantaCoder's, or lacks a special token.
   */
  constructor(file) {
    if (file.normalizer) throw new UserError("The tokenizer changes texts first, which cannot be done in a browser.");
    this._preTokenizer = new PreTokenizer(file.pre_tokenizer ?? null);
    this._encoding = new BytePairEncoding(file.model.vocab, file.model.merges, file.model.ignore_merges ?? false);
    this._bytes = tokenBytes(file);
    const ids = new Map([
      ...Object.entries(/** @type {Record<string, number>} */ (file.model.vocab)),
      ...file.added_tokens.map((/** @type {any} */ token) => /** @type {const} */ ([token.content, token.id])),
    ]);
    this.endOfTextId = specialId(ids, "<|endoftext|>");
    this.fimPrefixId = specialId(ids, "<fim-prefix>");
    this.fimMiddleId = specialId(ids, "<fim-middle>");
    this.fimSuffixId = specialId(ids, "<fim-suffix>");
    this.fimPadId = specialId(ids, "<fim-pad>");
    this.fimIds = new Set([this.fimPrefixId, this.fimMiddleId, this.fimSuffixId, this.fimPadId]);
    this.specialIds = new Set([this.endOfTextId, ...this.fimIds]);
    for (const token of file.added_tokens) {
      if (!token.special && !this.specialIds.has(token.id)) {
        throw new UserError(`The tokenizer's added token ${token.content} cannot be encoded in a browser.`);
      }
    }
    this._longest = this._bytes.reduce((most, bytes) => Math.max(most, bytes.length), 0);
  }

  /** Number of tokens, including special tokens. */
  get vocabSize() {
    return this._bytes.length;
  }

  /**
   * Token ids of `text`. Special tokens spelled in it are ordinary text.
   *
   * @param {string} text
   * @returns {number[]}
   * @throws {UserError} the text has a lone surrogate, which UTF-8 cannot represent.
   */
  encode(text) {
    requireValidUnicode(text);
    return this._preTokenizer.split(text).flatMap((word) => this._encoding.encode(inByteAlphabet(word)));
  }

  /**
   * Token ids of `text`, or of its end if the text is so long that `room` tokens cannot hold it; and whether it was
   * truncated.
   *
   * While a text grows, the position of the cut is stable; then it moves by at least `room` tokens.
   *
   * @param {string} text
   * @param {number} room
   * @returns {{ids: number[], isCut: boolean}}
   */
  encodeEnd(text, room) {
    const unit = this._mostCharacters(room);
    const start = Math.floor(Math.max(0, countCharacters(text) - WINDOW - unit) / unit) * unit;
    return { ids: this.encode(start ? text.slice(wordBreak(text, start)) : text), isCut: start > 0 };
  }

  /**
   * Token ids of `text`, or of its beginning if the text is so long that `room` tokens cannot hold it; and whether it
   * was truncated.
   *
   * @param {string} text
   * @param {number} room
   * @returns {{ids: number[], isCut: boolean}}
   */
  encodeBeginning(text, room) {
    const most = 2 * this._mostCharacters(room) + WINDOW;
    const isCut = countCharacters(text) > most;
    return { ids: this.encode(isCut ? text.slice(0, wordBreak(text, most - WINDOW)) : text), isCut };
  }

  /**
   * The positions at which the pre-tokenizer splits `text`, including 0; no token spans them.
   *
   * @param {string} text
   * @returns {number[]}
   */
  wordStarts(text) {
    return this._preTokenizer.starts(text);
  }

  /**
   * The text of `ids`, with special tokens spelled out. Invalid bytes become U+FFFD.
   *
   * @param {readonly number[]} ids
   * @returns {string}
   */
  decode(ids) {
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(this.decodeBytes(ids));
  }

  /**
   * @param {readonly number[]} ids
   * @returns {Uint8Array}
   */
  decodeBytes(ids) {
    const bytes = new Uint8Array(ids.reduce((size, id) => size + this._bytes[id].length, 0));
    let end = 0;
    for (const id of ids) {
      bytes.set(this._bytes[id], end);
      end += this._bytes[id].length;
    }
    return bytes;
  }

  /**
   * A decoder that takes one id at a time; the bytes of `after` may end with an incomplete character.
   *
   * @param {readonly number[]} after
   * @returns {StreamDecoder}
   */
  streamDecoder(after = []) {
    const decoder = new StreamDecoder(this._bytes);
    for (const id of after) decoder.feed(id);
    return decoder;
  }

  /**
   * The maximum number of characters that `room` tokens can represent, or the minimum length that is worth cutting.
   *
   * @param {number} room
   */
  _mostCharacters(room) {
    return Math.max(ALWAYS_WHOLE, room * this._longest);
  }
}

/**
 * The index in `text` of the first position, from the character number `start` on, that no token spans; that of `start`
 * if there is none nearby.
 *
 * GPT-2's pre-tokenizer begins a word at any white space after another character. Only ASCII is considered, because
 * libraries disagree on other white space.
 *
 * @param {string} text
 * @param {number} start
 */
function wordBreak(text, start) {
  const first = unitOf(text, start);
  const found = /(?<=[!-~])(?=[ \t\r\n])/.exec(text.slice(first - 1, unitOf(text, start + WINDOW)));
  return found ? first - 1 + found.index : first;
}

/** @param {Map<string, number>} ids @param {string} token */
function specialId(ids, token) {
  // StarCoder spells the sentinel tokens with underscores
  const id = ids.get(token) ?? ids.get(token.replaceAll("-", "_"));
  if (id === undefined) throw new UserError(`The tokenizer lacks the special token ${token}.`);
  return id;
}

/**
 * @param {string} text
 * @throws {UserError} it has a lone surrogate.
 */
export function requireValidUnicode(text) {
  const found = /\p{Surrogate}/u.exec(text);
  if (!found) return;
  const code = /** @type {number} */ (text.codePointAt(found.index)).toString(16).toUpperCase();
  const place = countCharacters(text.slice(0, found.index)) + 1;
  throw new UserError(
    `The text has a lone surrogate (U+${code}) at character ${place}, which is not a valid character; remove it and ` +
      "try again.",
  );
}

// GPT-2's printable character for every byte: printable Latin-1 maps to itself, the rest to U+0100 and up
const BYTE_ALPHABET = (() => {
  let shifted = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    return String.fromCharCode(isPrintable ? byte : shifted++);
  });
})();

/** The UTF-8 of `word`, spelled in the byte-level alphabet. @param {string} word */
function inByteAlphabet(word) {
  let spelled = "";
  for (const byte of new TextEncoder().encode(word)) spelled += BYTE_ALPHABET[byte];
  return spelled;
}

/**
 * The bytes of each token by id; empty for ids that the file does not use.
 *
 * @param {any} file
 * @returns {Uint8Array[]}
 */
function tokenBytes(file) {
  const byteOf = new Map(BYTE_ALPHABET.map((character, byte) => [character, byte]));
  /** @type {Uint8Array[]} */
  const table = [];
  for (const [token, id] of Object.entries(file.model.vocab)) {
    const bytes = Array.from(token, (character) => byteOf.get(character));
    if (!bytes.includes(undefined)) table[id] = Uint8Array.from(/** @type {number[]} */ (bytes));
    else if (!file.added_tokens.some((/** @type {any} */ added) => added.id === id)) {
      throw new UserError(`The token ${token} is not spelled in GPT-2's byte-level alphabet.`);
    }
  }
  for (const { content, id } of file.added_tokens) table[id] = new TextEncoder().encode(content);
  return Array.from(table, (bytes) => bytes ?? new Uint8Array());
}
