/**
 * A code editor: a text area above a layer that colours the written tokens by their probability. A click on one, or
 * Alt-Enter in it, opens what else the model considered.
 */

/**
 * @typedef {{id: number, text: string, logprob: number, top: {id: number, text: string, logprob: number}[], gap: number,
 *   index: number, start: number, end: number}} Written
 *   a token: its gap, its index in it, and where it is in the text.
 */

export class Editor {
  /**
   * @param {HTMLElement} root an element with a `textarea`, a `pre` and a `.alternatives`.
   * @param {(token: Written, alternative: {id: number, logprob: number}) => void} onAlternative called with a chosen alternative.
   */
  constructor(root, onAlternative) {
    this.area = root.querySelector("textarea");
    this._layer = root.querySelector("pre");
    this._alternatives = root.querySelector(".alternatives");
    this._onAlternative = onAlternative;
    this._leaving = false;
    /** @type {Written[]} */
    this._written = [];
    this.area.addEventListener("input", () => this.forget());
    this.area.addEventListener("scroll", () => this._scroll());
    this.area.addEventListener("click", () => this._open());
    this.area.addEventListener("keydown", (event) => this._indent(event));
    this.area.addEventListener("keydown", (event) => this._openByKey(event));
    this.area.addEventListener("focus", () => {
      this._leaving = false;
    });
    root.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      this._close();
      this._leaving = true; // the next Tab moves the focus, as the page says
    });
  }

  get text() {
    return this.area.value;
  }

  /** @param {string} text @param {Written[]} written */
  show(text, written = []) {
    if (this.area.value !== text) this.area.value = text;
    this._written = written;
    this._paint();
    this._close();
  }

  /** The text was edited: probabilities no longer belong to it. */
  forget() {
    this._written = [];
    this._paint();
    this._close();
  }

  scrollToEnd() {
    this.area.scrollTop = this.area.scrollHeight;
  }

  _paint() {
    if (!this._written.length) return this._layer.replaceChildren(); // typing in a long text costs nothing here
    const parts = [];
    let last = 0;
    for (const token of this._written) {
      parts.push(this.text.slice(last, token.start));
      const span = document.createElement("span");
      span.textContent = this.text.slice(token.start, token.end);
      span.dataset.heat = String(heatOf(token.logprob));
      parts.push(span);
      last = token.end;
    }
    this._layer.replaceChildren(...parts, this.text.slice(last), "\n");
    this._scroll();
    return undefined;
  }

  _scroll() {
    this._layer.style.transform = `translate(${-this.area.scrollLeft}px, ${-this.area.scrollTop}px)`;
  }

  _open() {
    const at = this.area.selectionStart;
    const token = at === this.area.selectionEnd && this._written.find(({ start, end }) => start < at && at <= end);
    if (!token) return this._close();
    const buttons = token.top.map((alternative) => {
      const button = document.createElement("button");
      button.type = "button";
      const share = document.createElement("b");
      share.textContent = percent(alternative.logprob);
      button.append(share, ` ${shown(alternative.text)}`);
      if (alternative.id === token.id) button.setAttribute("aria-current", "true");
      button.addEventListener("click", () => this._onAlternative(token, alternative));
      return button;
    });
    const title = document.createElement("p");
    title.textContent = `${shown(token.text)}: ${percent(token.logprob)}. Continue with:`;
    this._alternatives.replaceChildren(title, ...buttons);
    this._alternatives.hidden = false;
    return undefined;
  }

  _openByKey(event) {
    if (event.key !== "Enter" || !event.altKey || event.ctrlKey || event.metaKey) return;
    this._open();
    if (this._alternatives.hidden) return;
    event.preventDefault();
    this._alternatives.querySelector("button").focus();
  }

  _close() {
    if (this._alternatives.contains(document.activeElement)) this.area.focus(); // a hidden button would lose it
    this._alternatives.hidden = true;
  }

  _indent(event) {
    if (event.key !== "Tab" || event.shiftKey || event.altKey || event.ctrlKey || event.metaKey || this._leaving) return;
    event.preventDefault();
    document.execCommand("insertText", false, "    "); // keeps the text area's undo
  }
}

/** The step of the colour scale, 0 (sure) to 8 (unsure), as on the playground's page. */
export function heatOf(logprob) {
  return Math.min(8, Math.max(0, Math.round(-logprob / Math.LN2)));
}

const percent = (logprob) => {
  const share = 100 * Math.exp(logprob);
  return `${share < 1 ? share.toFixed(1) : share.toFixed(0)} %`;
};

const shown = (text) => text.replaceAll("\n", "⏎").replaceAll("\t", "→").replaceAll(" ", "·") || "∅";
