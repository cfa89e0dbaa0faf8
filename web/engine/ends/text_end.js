/** Everything that can end a text before the model ends it, as a pipeline. */

import { StopFinder } from "../stop.js";
import { SuffixOverlap } from "./overlap.js";
import { RepetitionEnd } from "./repetition.js";
import { endFinder } from "./stop_at.js";

/** @typedef {import("../events.js").EndedBy} EndedBy */
/** @typedef {import("../request.js").CompletionRequest} CompletionRequest */

/**
 * Passes text on, and holds back what may not be part of it: `feed` returns text that is safe to show, and whether it has
 * ended; `finish` returns the held-back text that is part of the text.
 *
 * @typedef {{feed: (text: string) => [string, boolean], finish: () => string}} Stage
 */

/**
 * Shows the text of a request up to its end. `endedBy` says what ended it, once something has.
 */
export class TextEnd {
  /** @param {CompletionRequest} request */
  constructor(request) {
    const { stop, stop_at, stop_repetition } = request.sampling;
    /** @type {EndedBy | null} */
    this.endedBy = null;
    this._repetition = stop_repetition ? new RepetitionEnd(request.prefix) : null;
    /** @type {[EndedBy, Stage][]} */
    this._stages = [["stop_sequence", new StopFinder(stop)]];
    const finder = endFinder(request.prefix, stop_at, request.language);
    if (finder) this._stages.push(["stop_at", finder]);
    this._overlap = request.fit_gap && request.suffix ? new SuffixOverlap(request.suffix) : null;
    if (this._overlap) this._stages.push(["suffix", this._overlap]);
    this._nShownBefore = 0;
    const shown = request.written.map(([id, text]) => this.feed(id, text)[0]).join("");
    // what is held back of the text generated earlier has been shown already, too
    this._nShownBefore = request.written.reduce((count, [, text]) => count + text.length, 0) - shown.length;
  }

  /** What was cut off because it repeated what comes before or after it. */
  get cut() {
    let cut = this._overlap?.cut ?? "";
    // the end of the first copy may have been cut, too
    if (this._repetition && this.endedBy === "repetition") cut += this._repetition.cut;
    return cut.slice(this._nShownBefore);
  }

  /**
   * The text that may be shown after the token `id` has added `text`, and whether the text has ended.
   *
   * @param {number} id
   * @param {string} text
   * @returns {[string, boolean]}
   */
  feed(id, text) {
    if (this.endedBy !== null) return ["", true]; // in the text generated earlier
    let repeats = false;
    if (this._repetition) [text, repeats] = this._repetition.feed(id, text);
    const shown = this._shown(text, repeats, false);
    return [shown, this.endedBy !== null];
  }

  /**
   * The held-back text and `text`, as far as they are part of the text, when no more tokens come.
   *
   * @param {string} text
   * @returns {string}
   */
  finish(text) {
    if (this.endedBy !== null) return "";
    let repeats = false;
    if (this._repetition) [text, repeats] = this._repetition.finish(text);
    return this._shown(text, repeats, true);
  }

  /** @param {string} text @param {boolean} repeats @param {boolean} final */
  _shown(text, repeats, final) {
    const shown = this._pass(text, final || repeats);
    if (repeats) this.endedBy ??= "repetition";
    const nBefore = Math.min(this._nShownBefore, shown.length);
    this._nShownBefore -= nBefore;
    return shown.slice(nBefore);
  }

  /** @param {string} text @param {boolean} final */
  _pass(text, final) {
    for (const [name, stage] of this._stages) {
      let hasEnded;
      [text, hasEnded] = stage.feed(text);
      if (hasEnded) this.endedBy ??= name;
      else if (final) text += stage.finish();
      final ||= hasEnded;
    }
    return text;
  }
}
