/** Where a block or a function of Python ends: at the first line that is indented less. */

/** @typedef {import("./lexer.js").Token} Token */

const TAB = 8;
const OPENERS = new Set("def class if elif else for while with try except finally match case".split(" "));
const SOFT = new Set(["match", "case"]); // keywords only where a colon ends the line
const CLAUSES = new Set("elif else except finally".split(" "));
// a line that begins with one of these is never inside brackets: they were left open by mistake
const NEVER_IN_BRACKETS = new Set("def class return import raise while try with".split(" "));
const NOWHERE = -1;

/**
 * The first line of a statement, at `indent` columns. `opens` means that it opens a block, or still may.
 *
 * @typedef {{indent: number, word: string, opens: boolean}} Line
 */

/**
 * Receives the tokens of the prompt, then those of the text. `heldFrom` is where the text would end if the next line were
 * outside; `endedAt` is where it has ended. Both count from the beginning of the prompt.
 */
export class PythonEnd {
  /** @param {"block" | "function"} stopAt */
  constructor(stopAt) {
    this._stopAt = stopAt;
    /** @type {number | null} */
    this.heldFrom = null;
    /** @type {number | null} */
    this.endedAt = null;
    /** @type {Line[]} */
    this._lines = []; // the enclosing lines, then the current one
    this._depth = 0; // of brackets
    this._isAtStart = true; // of a line
    this._indent = 0;
    this._last = "";
    this._hasWritten = false;
    // set when the text begins: lines at this indentation or less end it, except clauses of the same statement
    /** @type {number | null} */
    this._limit = null;
    this._clausesBelong = false;
    this._waitsForFunction = false;
    this.holdsComment = false;
  }

  /**
   * The text begins with the next token; with `hasWritten`, part of the last token was already the text's.
   *
   * @param {boolean} hasWritten
   */
  begin(hasWritten) {
    this._hasWritten = hasWritten;
    if (this._stopAt === "block") this._aimAtBlock();
    else this._aimAtFunction();
  }

  /** @param {Token} token */
  add(token) {
    if (token.kind === "newline") {
      this._breakLine(token);
    } else if (token.kind === "indent") {
      if (this._isAtStart) this._indent = column(this._indent, token.text);
    } else if (token.kind === "comment") {
      this._addComment();
    } else {
      this._addCode(token);
    }
  }

  /** @param {Token} token */
  _addCode(token) {
    this.holdsComment = false;
    const line = this._lines.at(-1);
    if (this._isAtStart && (!this._depth || NEVER_IN_BRACKETS.has(token.text))) {
      this._depth = 0;
      this._beginLine(token);
    } else if (this._last === "async" && line?.word === "async") {
      line.word = token.text;
      line.opens = OPENERS.has(token.text);
    }
    if (this.endedAt === null) this._goOn(token);
  }

  /** A comment is held back where the block may end before it; the next line tells whether it has ended. */
  _addComment() {
    const isLeft = this._isAtStart && this._limit !== null && this._indent <= this._limit;
    if (isLeft && !this._depth) {
      this.holdsComment = this.heldFrom !== null;
      return;
    }
    this._isAtStart = false;
    this.heldFrom = null;
    if (this._limit !== null) this._hasWritten = true;
  }

  /** @param {Token} token */
  _breakLine(token) {
    const line = this._lines.at(-1);
    if (line && !this._depth && !this._isAtStart) line.opens = line.opens && this._last === ":";
    if (this._hasWritten && this.heldFrom === null) this.heldFrom = token.start;
    this._isAtStart = true;
    this._indent = 0;
  }

  /** @param {Token} token */
  _goOn(token) {
    this._isAtStart = false;
    this.heldFrom = null;
    this._last = token.text;
    if (this._limit !== null) this._hasWritten = true;
    if (token.kind !== "mark") return;
    if ("([{".includes(token.text)) this._depth += 1;
    else if (")]}".includes(token.text)) this._depth = Math.max(0, this._depth - 1);
  }

  /** @param {Token} token */
  _beginLine(token) {
    if (this._limit !== null && this._isOutside(token, this._limit)) {
      if (this._hasWritten) {
        this.endedAt = this.heldFrom;
        return;
      }
      this._aimFrom(this._indent); // the beginning of the text never ends it
    }
    this._dropLinesFrom(this._indent);
    this._lines.push({ indent: this._indent, word: token.text, opens: OPENERS.has(token.text) });
    if (this._waitsForFunction && (token.text === "def" || token.text === "async")) {
      this._waitsForFunction = false;
      this._limit = this._indent;
      this._clausesBelong = false;
    }
  }

  /** @param {number} indent */
  _dropLinesFrom(indent) {
    while ((this._lines.at(-1)?.indent ?? NOWHERE) >= indent) this._lines.pop();
  }

  /** @param {Token} token @param {number} limit */
  _isOutside(token, limit) {
    const isClause = this._clausesBelong && this._indent === limit && CLAUSES.has(token.text);
    const line = this._lines.at(-1);
    const isDecorated = line?.word === "@" && line.indent === this._indent;
    return this._indent <= limit && !isClause && !isDecorated;
  }

  /** The text begins outside the block that the prompt was in, at `indent`. @param {number} indent */
  _aimFrom(indent) {
    if (this._stopAt === "block") {
      this._limit = indent;
      this._clausesBelong = true;
    } else {
      this._limit = indent - 1;
      this._waitsForFunction = true;
    }
  }

  _aimAtBlock() {
    const { begun, indent } = this._place();
    if (begun !== null) {
      this._limit = begun.indent;
      this._clausesBelong = true;
    } else if (indent) {
      this._limit = indent - 1;
    } else {
      this._limit = 0;
      this._clausesBelong = true;
    }
  }

  _aimAtFunction() {
    const { begun, indent } = this._place();
    const around = this._lines.filter((line) => line.opens && (line === begun || line.indent < indent));
    const words = around.map((line) => line.word);
    const inFunction = words.lastIndexOf("def");
    const inClass = words.lastIndexOf("class");
    const outermost = this._lines.length ? this._lines[0].indent : indent;
    if (inFunction >= 0) {
      this._limit = around[inFunction].indent;
    } else if (outermost) {
      this._limit = outermost - 1; // in a function whose head is not in the prompt
    } else if (inClass + 1 < around.length) {
      this._limit = around[inClass + 1].indent; // for example in a loop outside any function
      this._clausesBelong = true;
    } else {
      this._limit = around.length ? indent - 1 : NOWHERE;
      this._waitsForFunction = true;
    }
  }

  /**
   * The statement whose block the prompt has begun, if any, and the indentation at the end of the prompt.
   *
   * @returns {{begun: Line | null, indent: number}}
   */
  _place() {
    const last = this._lines.at(-1);
    if (!last) return { begun: null, indent: this._indent };
    const isAtStart = this._isAtStart && !this._depth; // of a line inside brackets, it has no meaning
    const isBegun = last.opens && (this._last === ":" || !(isAtStart || SOFT.has(last.word)));
    if (isBegun) return { begun: last, indent: last.indent };
    if (isAtStart && this._indent) {
      this._dropLinesFrom(this._indent);
      return { begun: null, indent: this._indent };
    }
    return { begun: null, indent: last.indent };
  }
}

/** @param {number} column @param {string} space */
function column(column, space) {
  for (const character of space) column = character === "\t" ? (Math.floor(column / TAB) + 1) * TAB : column + 1;
  return column;
}
