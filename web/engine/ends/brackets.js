/** Where a block, statement or function of Java or JavaScript ends: at its closing brace, or at a semicolon. */

import {
  BEFORE_STATEMENTS,
  beginsGroup,
  CLAUSES,
  CONTROLS,
  endsWith,
  GROUP,
  hasArrow,
  isAbstract,
  kindOfBrace,
  matching,
  MODIFIERS,
  STARTERS,
} from "./statements.js";

/** @typedef {import("../languages.js").Language} Language */
/** @typedef {import("./lexer.js").Token} Token */
/** @typedef {import("./statements.js").BraceKind} BraceKind */

/**
 * An open bracket, after the first `nBefore` tokens of a statement that may go on.
 *
 * @typedef {{bracket: string, kind: BraceKind | "", statement: string[], nBefore: number}} Open
 */

/** Open brackets around the text, of which one may begin its function. */
const SEARCHED = 100;
/** @type {Record<string, string>} */
const CLOSES = { ")": "(", "]": "[", "}": "{" };
const BEFORE_CLAUSES = new Set("if else try catch do".split(" "));
const INFIX = new Set("in instanceof of".split(" "));

/**
 * Receives the tokens of the prompt, then those of the text. `heldFrom` is where the text would end if nothing that
 * follows were part of it; `endedAt` is where it has ended. Both count from the beginning of the prompt.
 */
export class BracketEnd {
  /**
   * @param {"block" | "function"} stopAt
   * @param {Language} language
   */
  constructor(stopAt, language) {
    this._stopAt = stopAt;
    this._language = language;
    /** @type {number | null} */
    this.heldFrom = null;
    /** @type {number | null} */
    this.endedAt = null;
    /** @type {Open[]} */
    this._open = [];
    /** @type {string[]} */
    this._statement = []; // its tokens so far
    /** @type {Token | null} */
    this._last = null;
    // set when the text begins: it ends with the brackets or the statement at this depth
    /** @type {number | null} */
    this._depth = null;
    this._isStatement = false;
    this._isHeaded = false; // a statement with its own braces
    this._waitsForFunction = false;
    this._isClosed = false;
    this._closedHead = ""; // the first word of what is closed
    this._closedDepth = 0; // number of brackets around it
    this.holdsComment = false;
    this._isOnNewLine = false;
    this._hasWritten = false;
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
    if (token.kind === "indent") return;
    if (token.kind === "newline") {
      this._breakLine(token);
      return;
    }
    this.holdsComment = this._isClosed && token.kind === "comment" && BEFORE_CLAUSES.has(this._closedHead);
    if (this.holdsComment) return; // what follows it tells whether the statement continues
    if (this._isClosed && !this._goesOn(token)) {
      this.endedAt = this.heldFrom;
      return;
    }
    if (this._isOnNewLine && this.heldFrom !== null && !this._isClosed) {
      const isContinued = INFIX.has(token.text) || (this._isHeaded && CLAUSES.has(token.text));
      if ((token.kind === "word" || token.kind === "string") && !isContinued) {
        this.endedAt = this.heldFrom; // a semicolon was left out
        return;
      }
      this.heldFrom = null;
    }
    this._isOnNewLine = false;
    if (token.kind === "comment") return;
    if (this._waitsForFunction && token.text !== "{" && this._endsInArrow()) {
      this._waitsForFunction = false;
      this._aimAtStatement({ isHeaded: false });
    }
    this._take(token);
    if (this._depth !== null) this._hasWritten = true;
    this._last = token;
  }

  /** @param {Token} token */
  _breakLine(token) {
    this._isOnNewLine = true;
    if (this._isClosed || this.heldFrom !== null || !this._hasWritten) return;
    if (this._isStatement && this._language === "javascript" && this._isComplete()) this.heldFrom = token.start;
  }

  /** Whether the statement could end here without a semicolon. */
  _isComplete() {
    const last = this._last;
    if (last === null || this._open.length !== this._depth || BEFORE_STATEMENTS.has(last.text)) return false;
    if (last.text === ")" && last.kind === "mark") {
      const begins = matching(this._statement);
      return begins === 0 || !CONTROLS.has(this._statement[begins - 1]);
    }
    const isStep = endsWith(this._statement, "+", "+") || endsWith(this._statement, "-", "-");
    return last.kind !== "mark" || "]}".includes(last.text) || isStep;
  }

  /** Whether the statement continues after the brackets that were closed. @param {Token} token */
  _goesOn(token) {
    const isClause = CLAUSES.has(token.text) || (token.text === "while" && this._closedHead === "do");
    if (isClause && token.kind === "word") {
      this._isClosed = false;
      this.heldFrom = null;
      this._isStatement = this._isHeaded = true;
      return true;
    }
    if (this._isOnNewLine) return this._isInParentheses() && this._last?.text === ",";
    const isMark = token.kind === "mark";
    if (this._isInParentheses()) {
      // other arguments follow, as in `useEffect(() => { … }, [a])`
      if (isMark && ")]".includes(token.text) && this._open.length <= this._closedDepth) {
        this._closedDepth = this._open.length - 1;
        this.heldFrom = token.end;
      }
      return true;
    }
    if (isMark && token.text === ";") {
      this.endedAt = token.end;
      return true;
    }
    if (isMark && "(.".includes(token.text) && this._language === "javascript") {
      this._isClosed = false; // it is called at once
      this.heldFrom = null;
      this._depth = this._open.length;
      this._isStatement = true;
      return true;
    }
    return false;
  }

  /** @param {Token} token */
  _take(token) {
    const text = token.kind === "string" ? '"' : token.text;
    if (token.kind !== "mark" || !"([{)]};".includes(text)) {
      this._statement.push(text);
    } else if ("([".includes(text)) {
      // not copied: nested brackets would take memory in the square of their number
      this._open.push({ bracket: text, kind: "", statement: this._statement, nBefore: this._statement.length });
      this._statement.push(text);
    } else if (text === "{") {
      this._openBrace();
    } else if (text === "}") {
      this._closeBrace(token);
    } else if (text === ";") {
      this._endStatement(token);
    } else if (this._open.at(-1)?.bracket === CLOSES[text]) {
      this._open.pop();
      this._statement.push(text);
    }
  }

  _openBrace() {
    const kind = kindOfBrace(this._statement, this._language);
    if (this._waitsForFunction && kind === "function") {
      this._waitsForFunction = false;
      this._depth = this._open.length;
      this._isStatement = false;
    }
    this._open.push({ bracket: "{", kind, statement: this._statement, nBefore: this._statement.length });
    this._statement = [];
  }

  /** @param {Token} token */
  _closeBrace(token) {
    const index = this._open.findLastIndex((each) => each.bracket === "{");
    if (index < 0) {
      this._statement = []; // closes a block that was opened before the prompt
      if (this._depth !== null) this._close(token, []);
      return;
    }
    const before = statementBefore(this._open[index]);
    const isLiteral = this._open[index].kind === "literal";
    const isArgument = index > 0 && this._open[index - 1].bracket !== "{";
    this._open.length = index;
    this._statement = isLiteral || isArgument ? [...before, GROUP] : [];
    if (this._depth === null || (isLiteral && this._isStatement && index >= this._depth)) return;
    if (this._isStatement && index < this._depth) {
      this.endedAt = token.start; // closes a block around the statement
    } else if (index <= this._depth) {
      this._close(token, before);
    }
  }

  /** @param {Token} token */
  _endStatement(token) {
    if (this._isInParentheses()) {
      this._statement.push(";"); // as in the head of a loop
      return;
    }
    const before = this._statement;
    this._statement = [];
    if (this._waitsForFunction && this._language === "java" && this._isInClass() && isAbstract(before)) {
      this._waitsForFunction = false;
      this._close(token, before);
    }
    if (this._isStatement && this._depth !== null && this._open.length === this._depth) this._close(token, before);
  }

  /** @param {Token} token @param {string[]} before */
  _close(token, before) {
    this._closedHead = before[0] ?? "";
    this._isClosed = true;
    this._closedDepth = this._open.length;
    this._isOnNewLine = false;
    this.heldFrom = token.end;
  }

  /**
   * The index of the innermost open brace that is no literal, or of the innermost one around the bracket `inside`; -1 if
   * there is none.
   *
   * @param {number} inside
   */
  _innermostBrace(inside = this._open.length) {
    return this._open.slice(0, inside).findLastIndex((each) => each.bracket === "{" && each.kind !== "literal");
  }

  /** Whether a literal or pattern of the current statement is open. */
  _isInLiteral() {
    return this._open.slice(this._innermostBrace() + 1).some((each) => each.kind === "literal");
  }

  /**
   * The index of the innermost open parenthesis that begins the parameters of a function, as around `function f({ a, `
   * in JavaScript; -1 if there is none.
   */
  _innermostParameters() {
    const least = this._open.length - SEARCHED;
    return this._open.findLastIndex(
      (each, index) =>
        index >= least && each.bracket === "(" && this._beginsFunction(statementBefore(each), index),
    );
  }

  /** Whether the innermost open bracket is round or square. */
  _isInParentheses() {
    return this._open.length > 0 && this._open.at(-1)?.bracket !== "{";
  }

  _isInClass() {
    return this._open.at(-1)?.kind === "class";
  }

  /** Whether an arrow function of JavaScript begins that is not an argument. */
  _endsInArrow() {
    return this._language === "javascript" && endsWith(this._statement, "=", ">") && !this._isInParentheses();
  }

  _aimAtBlock() {
    const brace = this._innermostBrace();
    if (STARTERS.has(this._head()[0])) {
      this._aimAtStatement({ isHeaded: true });
    } else if (brace < 0 || this._isInLiteral()) {
      this._aimAtStatement({ isHeaded: false });
    } else {
      this._depth = brace;
    }
  }

  _aimAtFunction() {
    const kinds = this._open.map((each) => each.kind);
    const inFunction = kinds.lastIndexOf("function");
    const inClass = kinds.lastIndexOf("class");
    const begun = this._innermostParameters();
    if (this._hasBegunFunction()) {
      this._aimAtStatement({ isHeaded: true });
    } else if (begun > Math.max(inFunction, inClass)) {
      this._aimAtStatement({ isHeaded: true, around: begun });
    } else if (inFunction > inClass) {
      this._depth = inFunction;
    } else if (kinds.indexOf("block", inClass + 1) >= 0) {
      this._depth = kinds.indexOf("block", inClass + 1);
    } else if (this._isInLiteral()) {
      this._aimAtStatement({ isHeaded: false });
    } else {
      this._depth = inClass;
      this._waitsForFunction = true;
    }
  }

  /**
   * End with the statement in which the text begins, or in which the bracket `around` was opened.
   *
   * @param {{isHeaded: boolean, around?: number}} statement
   */
  _aimAtStatement({ isHeaded, around }) {
    this._depth = this._innermostBrace(around) + 1;
    this._isStatement = true;
    this._isHeaded = isHeaded;
  }

  /** The statement in which the prompt ends, from its beginning. */
  _head() {
    const inner = this._open.slice(this._innermostBrace() + 1);
    return inner.length && !this._statement.length ? statementBefore(inner[0]) : this._statement;
  }

  _hasBegunFunction() {
    const head = this._statement;
    if (beginsGroup(head) || (this._language === "javascript" && hasArrow(head))) return true;
    return (head.includes("(") || head.includes("function")) && this._beginsFunction(head, this._open.length);
  }

  /** Whether `head`, which is inside `depth` open brackets, begins a function. @param {string[]} head @param {number} depth */
  _beginsFunction(head, depth) {
    const word = head.indexOf("function");
    if (word >= 0 && !head.includes(GROUP, word)) return true;
    if (!head.length || head.includes("=") || CONTROLS.has(head[0])) return false;
    const brace = this._innermostBrace(depth);
    return brace < 0 ? MODIFIERS.has(head[0]) : this._open[brace].kind === "class";
  }
}

/** The tokens of the statement before a bracket. @param {Open} open */
function statementBefore({ statement, nBefore }) {
  return statement.slice(0, nBefore);
}
