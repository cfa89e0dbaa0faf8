/**
 * From the events of a request to its text and tokens: what each token added to the text, and where.
 *
 * Tokens are decoded in context, because a token of a byte-level vocabulary may be a part of a character.
 */

import { CrlfWriter } from "./line_ends.js";

/** @typedef {import("./events.js").Event} Event */
/** @typedef {import("./events.js").TokenEvent} TokenEvent */
/** @typedef {import("./tokenizer.js").Tokenizer} Tokenizer */

/**
 * A likely token at the position of another. `text` is what it would have added to the text there, or nothing if it is
 * an unfinished character. `logprob` is in nats.
 *
 * @typedef {{id: number, text: string, logprob: number}} Alternative
 */

/**
 * A token of a text, and the most likely tokens at its position.
 *
 * `text` is what it added, and begins at `offset`, an index of the text. If a character takes several tokens, the last of
 * them adds it, and all of them have its offset. For a special token that ends the text, `text` is the token's name,
 * which is not part of the whole text.
 *
 * @typedef {{id: number, text: string, logprob: number, top: Alternative[], offset: number}} Token
 */

/**
 * The `text` of one request so far, and its `tokens`.
 *
 * A token is included once its first character has been shown. So tokens of a stop sequence are excluded, and so are
 * tokens held back because they may become one. A special token that ends the text comes last. Tokens that only spell the
 * end of the prompt again are included `withRespelled`, and have no text.
 */
export class Accumulator {
  /**
   * @param {Tokenizer} tokenizer
   * @param {{withRespelled?: boolean}} [options]
   */
  constructor(tokenizer, { withRespelled = false } = {}) {
    this._withRespelled = withRespelled;
    this.text = "";
    /** @type {Token[]} */
    this.tokens = [];
    this.nRespelled = 0; // how many of the tokens only spell the prompt's end again
    this._tokenizer = tokenizer;
    this._decoder = tokenizer.streamDecoder();
    // shown and decoded text have the same characters, but arrive in different pieces
    /** @type {CrlfWriter | null} */
    this._shown = null;
    /** @type {CrlfWriter | null} */
    this._decoded = null;
    /** @type {Token[]} */
    this._pending = [];
    /** @type {Token | null} */
    this._endMark = null;
    this._offset = 0;
  }

  /**
   * Process `event`; the tokens that it added to the text.
   *
   * @param {Event} event
   * @returns {Token[]}
   */
  add(event) {
    if (event.type === "started") {
      this._begin(event.prompt_end, event.crlf);
      return [];
    }
    this.text += this._shown?.feed(event.text) ?? event.text;
    if (event.type === "token" && this._isRespelled(event)) {
      const respelled = this._withRespelled ? [this._token(event, "", 0)] : [];
      this.tokens.push(...respelled);
      this.nRespelled += respelled.length;
      return respelled;
    }
    if (event.type === "finished") {
      this._endCharacter();
    } else if (this._tokenizer.specialIds.has(event.id)) {
      this._endCharacter();
      this._endMark = this._token(event, this._tokenizer.decode([event.id]), this._offset);
    } else {
      const top = this._alternatives(event);
      const decoded = this._decoder.feed(event.id, event.n_typed);
      const text = this._decoded?.feed(decoded) ?? decoded;
      this._pending.push({ id: event.id, text, logprob: event.logprob, top, offset: this._offset });
      this._offset += text.length;
    }
    const reached = this._reached(event.type === "finished");
    this.tokens.push(...reached);
    return reached;
  }

  /** What was generated after `text`: the stop sequence that ended it, and the rest of its last token. */
  get behind() {
    const written = [...this.tokens, ...this._pending].filter((token) => token !== this._endMark);
    return written
      .map((token) => token.text)
      .join("")
      .slice(this.text.length);
  }

  /** @param {readonly number[]} promptEnd @param {boolean} crlf */
  _begin(promptEnd, crlf) {
    this._decoder = this._tokenizer.streamDecoder(promptEnd);
    this._shown = crlf ? new CrlfWriter() : null;
    this._decoded = crlf ? new CrlfWriter() : null;
  }

  /** Whether the token only spells the end of the prompt again. @param {TokenEvent} event */
  _isRespelled(event) {
    const size = this._tokenizer.decodeBytes([event.id]).length;
    return !this._tokenizer.specialIds.has(event.id) && size > 0 && size <= event.n_typed;
  }

  /** @param {boolean} isFinished */
  _reached(isFinished) {
    // the rest of an unfinished character is added to the last token
    const nComplete = this._pending.length - Number(this._decoder.unfinished && this._pending.length > 0);
    const nShown = this._pending.findIndex((token) => token.offset >= this.text.length);
    const reached = this._pending.splice(0, nShown < 0 ? nComplete : Math.min(nShown, nComplete));
    if (isFinished && this._endMark && !this._pending.length) reached.push(this._endMark);
    return reached;
  }

  /** Add the rest of an unfinished character to the last token. */
  _endCharacter() {
    const left = this._decoder.finish();
    const last = this._pending.at(-1);
    if (!left || !last) return;
    this._pending[this._pending.length - 1] = { ...last, text: last.text + left };
    this._offset += left.length;
  }

  /** @param {TokenEvent} event @param {string} text @param {number} offset @returns {Token} */
  _token(event, text, offset) {
    return { id: event.id, text, logprob: event.logprob, top: this._alternatives(event), offset };
  }

  /** @param {TokenEvent} event @returns {Alternative[]} */
  _alternatives(event) {
    return event.top.map(([id, logprob]) => ({ id, text: this._alternativeText(id, event.n_typed), logprob }));
  }

  /** @param {number} id @param {number} nTyped */
  _alternativeText(id, nTyped) {
    if (this._tokenizer.specialIds.has(id)) return this._tokenizer.decode([id]);
    const text = this._decoder.peek(id, nTyped);
    return this._decoded?.peek(text) ?? text;
  }
}
