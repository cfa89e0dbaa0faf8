/**
 * An incremental lexer: source code as tokens while it is being generated, as far as they are certain.
 *
 * It accepts fragments, in pieces of any size, and takes time linear in their length. A string or comment is one token at
 * its beginning, and has no tokens inside. An unclosed string ends with its line.
 */

import { WHITE_SPACE } from "../characters.js";

/** @typedef {import("../languages.js").Language} Language */
/** @typedef {"word" | "mark" | "string" | "comment" | "newline" | "indent"} Kind */

/**
 * `start` and `end` count from the beginning of everything that was fed. White space is a token (`indent`) only at the
 * beginning of a line.
 *
 * @typedef {{kind: Kind, text: string, start: number, end: number}} Token
 */

const SPACE = new RegExp(`(?:(?!\\n)[${WHITE_SPACE}])+`, "y");
const WORD = /[\p{L}\p{N}_$]+/uy;
// for each closing delimiter, what ends the string or comment or must be skipped inside it
/** @type {Record<string, RegExp>} */
const CLOSING = {
  '"': /\\[^]?|"|\n/g,
  "'": /\\[^]?|'|\n/g,
  '"""': /\\[^]?|"""/g,
  "'''": /\\[^]?|'''/g,
  "`": /\\[^]?|`|\$\{/g,
  "/": /\\[^]?|\[|\/|\n/g,
  "]": /\\[^]?|\]|\n/g,
  "*/": /\*\//g,
  "\n": /\n/g,
  word: /[^\p{L}\p{N}_$]/gu,
};
// a slash closes nothing inside a character class of a regular expression
/** @type {Record<string, string>} */
const CLOSED_BY_AFTER = { "[": "]", "]": "/" };
// the first character of a closing delimiter that has several
/** @type {Record<string, string>} */
const FIRST_OF_CLOSING = { "*/": "*", "`": "$", '"""': '"', "'''": "'" };
// longer words, as in data, are truncated
const LONGEST_WORD = 64;
/** @type {Record<Language, string>} */
const TRIPLED = { python: "\"'", java: '"', javascript: "" };
// words after which a slash begins a regular expression, as it does after most punctuation
const BEFORE_REGEX = new Set("return typeof case in of do else void delete throw new await yield".split(" "));

/** Tokens of a language, piece by piece. */
export class Lexer {
  /** @param {Language} language */
  constructor(language) {
    this._language = language;
    this._rest = "";
    this._position = 0; // of the rest
    /** @type {string | null} */
    this._closedBy = null; // inside a string or a comment
    /** @type {number[]} */
    this._braces = []; // open braces inside each open ${ of template literals
    /** @type {Token | null} */
    this._last = null;
    /** @type {Token[]} */
    this._tokens = [];
  }

  /**
   * The tokens that `text` completes; if it is `final`, also one that more text could have made longer.
   *
   * @param {string} text
   * @param {boolean} final
   * @returns {Token[]}
   */
  feed(text, final = false) {
    text = this._rest + text;
    this._tokens = [];
    let at = 0;
    while (at < text.length) {
      const inside = this._closedBy;
      const step = inside === null ? this._code(text, at, final) : this._within(inside, text, at, final);
      if (step === at && this._closedBy === inside) break;
      at = step;
    }
    this._rest = text.slice(at);
    this._position += at;
    return this._tokens;
  }

  /**
   * Add the token at `at`; where the next begins, or `at` where that cannot be told yet.
   *
   * @param {string} text
   * @param {number} at
   * @param {boolean} final
   * @returns {number}
   */
  _code(text, at, final) {
    const character = String.fromCodePoint(/** @type {number} */ (text.codePointAt(at)));
    if (character === "\n") return this._add("newline", "\n", at);
    const space = matchAt(SPACE, text, at);
    if (space) {
      const isFirst = this._last === null || this._last.kind === "newline" || this._last.kind === "indent";
      return isFirst ? this._add("indent", space, at) : at + space.length;
    }
    const word = matchAt(WORD, text, at);
    if (word) return this._word(word, at, at + word.length === text.length && !final);
    if ("\"'`".includes(character) && (character !== "`" || this._language === "javascript")) {
      return this._opened(character, text, at, final);
    }
    if (this._language === "python") {
      if (character === "#") return this._open("comment", "\n", "#", at);
      if (character === "\\") return joinedLine(text, at, final);
    } else if (character === "/") {
      return this._slash(text, at, final);
    }
    if (this._braces.length && (character === "{" || character === "}")) {
      const top = this._braces.length - 1;
      if (character === "}" && !this._braces[top]) {
        this._braces.pop();
        this._closedBy = "`";
        return at + 1;
      }
      this._braces[top] += character === "{" ? 1 : -1;
    }
    return this._add("mark", character, at);
  }

  /** @param {string} word @param {number} at @param {boolean} isOpen whether the word may go on */
  _word(word, at, isOpen) {
    if (word.length >= LONGEST_WORD) {
      this._closedBy = "word";
      return this._add("word", word.slice(0, LONGEST_WORD), at);
    }
    return isOpen ? at : this._add("word", word, at);
  }

  /** @param {string} quote @param {string} text @param {number} at @param {boolean} final */
  _opened(quote, text, at, final) {
    if (TRIPLED[this._language].includes(quote)) {
      const tripled = quote.repeat(3);
      if (text.startsWith(tripled, at)) return this._open("string", tripled, tripled, at);
      const isOpen = text.length - at <= 2 && text.slice(at) === quote.repeat(text.length - at);
      if (isOpen && !final) return at;
    }
    return this._open("string", quote, quote, at);
  }

  /** @param {string} text @param {number} at @param {boolean} final */
  _slash(text, at, final) {
    const following = text[at + 1];
    if (following === undefined && !final) return at;
    if (following === "/") return this._open("comment", "\n", "//", at);
    if (following === "*") return this._open("comment", "*/", "/*", at);
    if (this._language === "javascript" && this._regexMayBegin()) return this._open("string", "/", "/", at);
    return this._add("mark", "/", at);
  }

  _regexMayBegin() {
    const last = this._last;
    if (last === null || ["newline", "indent", "comment"].includes(last.kind)) return true;
    if (last.kind === "word") return BEFORE_REGEX.has(last.text);
    return last.kind === "mark" && !")]}".includes(last.text);
  }

  /**
   * Where the string or comment at `at` goes on or has ended; `at` where that cannot be told yet.
   *
   * @param {string} closedBy
   * @param {string} text
   * @param {number} at
   * @param {boolean} final
   * @returns {number}
   */
  _within(closedBy, text, at, final) {
    const closing = CLOSING[closedBy];
    closing.lastIndex = at;
    const found = closing.exec(text);
    if (found === null) return text.length - (final ? 0 : nBegun(FIRST_OF_CLOSING[closedBy], text, at));
    const [match] = found;
    const end = found.index + match.length;
    if (closedBy === "word") {
      this._closedBy = null;
      return found.index;
    }
    if (match[0] === "\\") return match === "\\" && !final ? found.index : end;
    if (match === "${") this._braces.push(0);
    this._closedBy = CLOSED_BY_AFTER[match] ?? null;
    return match === "\n" ? found.index : end;
  }

  /** @param {Kind} kind @param {string} closedBy @param {string} text @param {number} at */
  _open(kind, closedBy, text, at) {
    this._closedBy = closedBy;
    return this._add(kind, text, at);
  }

  /** @param {Kind} kind @param {string} text @param {number} at */
  _add(kind, text, at) {
    const start = this._position + at;
    this._last = { kind, text, start, end: start + text.length };
    this._tokens.push(this._last);
    return at + text.length;
  }
}

/** What a sticky `pattern` matches at `at`, or an empty string. @param {RegExp} pattern @param {string} text @param {number} at */
function matchAt(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? "";
}

/** Where the code goes on after a backslash, which joins lines. @param {string} text @param {number} at @param {boolean} final */
function joinedLine(text, at, final) {
  if (at + 1 === text.length && !final) return at;
  return at + (text[at + 1] === "\n" ? 2 : 1);
}

/**
 * How many characters at the end of `text` may begin what closes a string or comment.
 *
 * @param {string | undefined} first
 * @param {string} text
 * @param {number} from
 */
function nBegun(first, text, from) {
  if (!first) return 0;
  return [2, 1].find((count) => text.length - count >= from && text.endsWith(first.repeat(count))) ?? 0;
}
