/**
 * Characters as Python counts and classifies them.
 *
 * A string of JavaScript has two units for a character above U+FFFF, and the two languages do not agree on what white
 * space is. The ends of texts must be the same on both sides.
 */

// str.isspace() of Python; JavaScript's \s has U+FEFF instead of U+001C to U+001F and U+0085
const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const AT_START = new RegExp(`^[${SPACE}]+`);
const AT_END = new RegExp(`[${SPACE}]$`);
const ALL = new RegExp(`^[${SPACE}]+$`);
const LETTER = /\p{L}/u;
const LETTER_OR_DIGIT = /[\p{L}\p{N}]/u;
const SURROGATE = /[\ud800-\udfff]/;

/** The characters of white space, for a character class of a regular expression. */
export const WHITE_SPACE = SPACE;

/**
 * Whether `text` has a character and all are white space.
 *
 * @param {string} text
 */
export function isSpace(text) {
  return ALL.test(text);
}

/**
 * `text` without white space at its end.
 *
 * @param {string} text
 */
export function stripEnd(text) {
  let end = text.length;
  while (end > 0 && AT_END.test(text[end - 1])) end--;
  return text.slice(0, end);
}

/**
 * `text` without white space at its beginning and end.
 *
 * @param {string} text
 */
export function strip(text) {
  return stripEnd(text.replace(AT_START, ""));
}

/**
 * Whether `text` has a letter.
 *
 * @param {string} text
 */
export function hasLetter(text) {
  return LETTER.test(text);
}

/**
 * Whether `text` has a letter or a digit.
 *
 * @param {string} text
 */
export function hasLetterOrDigit(text) {
  return LETTER_OR_DIGIT.test(text);
}

/**
 * The last character of `text`, or an empty string.
 *
 * @param {string} text
 */
export function lastCharacter(text) {
  const isPair = text.length > 1 && SURROGATE.test(text[text.length - 1]);
  return isPair ? text.slice(-2) : text.slice(-1);
}

/**
 * The number of characters of `text`.
 *
 * @param {string} text
 */
export function countCharacters(text) {
  if (!SURROGATE.test(text)) return text.length;
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/**
 * The first `count` characters of `text`.
 *
 * @param {string} text
 * @param {number} count
 */
export function firstCharacters(text, count) {
  return text.slice(0, unitOf(text, count));
}

/**
 * The last `count` characters of `text`.
 *
 * @param {string} text
 * @param {number} count
 */
export function lastCharacters(text, count) {
  return text.slice(unitOf(text, Math.max(0, countCharacters(text) - count)));
}

/**
 * The index in `text` of the character number `character`.
 *
 * @param {string} text
 * @param {number} character
 */
export function unitOf(text, character) {
  if (!SURROGATE.test(text)) return Math.min(character, text.length);
  let unit = 0;
  for (let left = character; left > 0 && unit < text.length; left--) unit += isPairAt(text, unit) ? 2 : 1;
  return unit;
}

/**
 * The number of bytes of `text` in UTF-8.
 *
 * @param {string} text
 */
export function countBytes(text) {
  return new TextEncoder().encode(text).length;
}

/** @param {string} text @param {number} unit */
function isPairAt(text, unit) {
  return /** @type {number} */ (text.codePointAt(unit)) > 0xffff;
}
