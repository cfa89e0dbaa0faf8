/** Ends a text with its line, its block or its function. */

import { countCharacters, isSpace, lastCharacters, strip } from "../characters.js";
import { guessLanguage } from "../languages.js";
import { BracketEnd } from "./brackets.js";
import { PythonEnd } from "./indentation.js";
import { Lexer } from "./lexer.js";

/** @typedef {import("../languages.js").Language} Language */
/** @typedef {import("./lexer.js").Token} Token */

// characters of the prompt that are parsed at most; the enclosing structure is rarely further away
const CHARACTERS = 8000;
// a line that is certainly code, not inside a comment or string, wherever the prompt was truncated
/** @type {Record<Language, RegExp>} */
const CODE = {
  python: /(?<![^\n])[ \t]*(?:(?:async def|def|class|import|from)(?![\p{L}\p{N}_])|@[\p{L}\p{N}_]+)/gu,
  java: /(?<![^\n])[ \t]*(?:(?:public|private|protected|static|class|import)(?![\p{L}\p{N}_])|@[\p{L}\p{N}_]+)/gu,
  javascript: /(?<![^\n])[ \t]*(?:function|class|const|let|var|import|export|module)(?![\p{L}\p{N}_])/gu,
};

/** Passes text on up to the end of the line, or of the first line that is not blank. */
export class LineEnd {
  constructor() {
    this._isNew = true;
  }

  /**
   * Text that is safe to show, and whether it has ended.
   *
   * @param {string} text
   * @returns {[string, boolean]}
   */
  feed(text) {
    for (let index = 0; index < text.length; index++) {
      if (text[index] === "\n" && !this._isNew) return [text.slice(0, index), true];
      this._isNew = this._isNew && isSpace(text[index]);
    }
    return [text, false];
  }

  finish() {
    return "";
  }
}

/** Passes text on up to the end of the block or function, and holds back what could come after it. */
export class StructureEnd {
  /**
   * @param {string} prompt
   * @param {"block" | "function"} stopAt
   * @param {Language} language
   */
  constructor(prompt, stopAt, language) {
    prompt = endOf(prompt, language);
    this._lexer = new Lexer(language);
    this._end = language === "python" ? new PythonEnd(stopAt) : new BracketEnd(stopAt, language);
    this._beginsAt = prompt.length;
    this._hasBegun = false;
    this._unbegun = ""; // text without a token yet, as inside a string that the prompt has begun
    this._held = "";
    this._shownTo = prompt.length;
    this._add(this._lexer.feed(prompt));
  }

  /**
   * Text that is safe to show, and whether it has ended.
   *
   * @param {string} text
   * @param {boolean} final
   * @returns {[string, boolean]}
   */
  feed(text, final = false) {
    this._held += text;
    if (!this._hasBegun) this._unbegun += text;
    this._add(this._lexer.feed(text, final));
    const { endedAt, heldFrom } = this._end;
    if (endedAt !== null) return [this._show(endedAt), true];
    return [this._show(heldFrom ?? this._shownTo + this._held.length), false];
  }

  /** The held-back text that is part of the structure. White space after its possible end is not. */
  finish() {
    const [shown, hasEnded] = this.feed("", true);
    if (hasEnded || this._end.holdsComment || strip(this._held) === "") return shown;
    return shown + this._show(this._shownTo + this._held.length);
  }

  /** @param {Token[]} tokens */
  _add(tokens) {
    for (const token of tokens) {
      if (this._end.endedAt !== null) return;
      if (!this._hasBegun && token.start >= this._beginsAt) {
        this._hasBegun = true;
        this._end.begin(strip(this._unbegun.slice(0, token.start - this._beginsAt)) !== "");
      }
      this._end.add(token);
    }
  }

  /** @param {number} to */
  _show(to) {
    const count = Math.max(0, to - this._shownTo);
    const shown = this._held.slice(0, count);
    this._held = this._held.slice(count);
    this._shownTo += shown.length;
    return shown;
  }
}

/**
 * What ends a text after `prompt`; the language is guessed if it is not given.
 *
 * @param {string} prompt
 * @param {import("../sampling_params.js").StopAt} stopAt
 * @param {Language | null} language
 * @returns {LineEnd | StructureEnd | null}
 */
export function endFinder(prompt, stopAt, language) {
  if (stopAt === "none") return null;
  if (stopAt === "line") return new LineEnd();
  return new StructureEnd(prompt, stopAt, language ?? guessLanguage(prompt));
}

/** The last lines of `prompt`; if it is truncated, from a line that is certainly code. @param {string} prompt @param {Language} language */
function endOf(prompt, language) {
  if (countCharacters(prompt) <= CHARACTERS) return prompt;
  const end = lastCharacters(prompt, CHARACTERS);
  const firstLine = end.indexOf("\n") + 1;
  const code = CODE[language];
  code.lastIndex = firstLine;
  return end.slice(code.exec(end)?.index ?? firstLine);
}
