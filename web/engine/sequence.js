/** The state of one running request. */

import { BlankStart } from "./blank_start.js";
import { isSpace, strip } from "./characters.js";
import { TextEnd } from "./ends/text_end.js";
import { asSentence } from "./errors.js";
import { GapStart, isInsideLine } from "./gap_start.js";
import { Drafting } from "./prompt_lookup.js";
import { buildPrompt } from "./request.js";
import { Sampler } from "./sampling.js";

/** @typedef {import("./events.js").FinishReason} FinishReason */
/** @typedef {import("./events.js").TokenEvent} TokenEvent */
/** @typedef {import("./events.js").Finished} Finished */
/** @typedef {import("./fim.js").FimOrder} FimOrder */
/** @typedef {import("./request.js").CompletionRequest} CompletionRequest */
/** @typedef {import("./request.js").Prompt} Prompt */
/** @typedef {import("./sampling.js").Choice} Choice */
/** @typedef {import("./token_healing.js").TokenHealing} TokenHealing */
/** @typedef {import("./tokenizer.js").Tokenizer} Tokenizer */

// a character has four bytes at most, so the beginning of one lies in the last three tokens
const LONGEST_BEGINNING = 3;
// added to a logit: more than logits differ by
const AVOIDED = -1000;

/** The tokens of a request so far. Its events wait in `events` until somebody takes them. */
export class Sequence {
  /**
   * @param {CompletionRequest} request what to complete.
   * @param {Tokenizer} tokenizer the model's tokenizer.
   * @param {number} nPositions the context size in tokens.
   * @param {FimOrder} order the order of a prompt with a gap, if the request has none.
   * @param {TokenHealing} healing
   */
  constructor(request, tokenizer, nPositions, order, healing) {
    const prompt = buildPrompt(request, tokenizer, nPositions, order, healing);
    this._tokenizer = tokenizer;
    this._healing = healing;
    this._nPositions = nPositions;
    this._maxNewTokens = prompt.maxNewTokens;
    this.crlf = request.crlf;
    this.notices = prompt.notices;
    this.prompt = prompt.ids;
    this.takenBack = prompt.takenBack;
    this.ids = [...prompt.ids];
    this.drafting = new Drafting();
    this.nComputed = 0; // ids whose keys and values are in the cache
    this._never = neverIds(request, prompt, tokenizer);
    this.sampler = new Sampler(request.sampling, { never: this._never, nPrompt: prompt.ids.length });
    /** @type {GapStart | null} */
    this._gapStart = null;
    /** @type {BlankStart | null} */
    this._blankStart = null;
    if (!request.written.some(([, text]) => strip(text))) {
      if (request.fit_gap && request.suffix !== null && isInsideLine(request.prefix, request.suffix)) {
        this._gapStart = new GapStart(request.prefix, tokenizer);
      }
      if (request.sampling.stop_repetition) {
        this._blankStart = new BlankStart(
          tokenizer,
          request.written.map(([id]) => id),
        );
      }
    }
    this._typed = prompt.typed; // the part of the prompt's end that is still to be spelled again
    /** Ids of the tokens that may come next, as long as some of it is. @type {number[] | null} */
    this.agreeing = this._typed.length ? healing.agreeing(this._typed) : null;
    this._nRespelled = 0;
    this._end = this._typed.length ? nPositions : prompt.ids.length + prompt.maxNewTokens;
    this.promptEnd = this._typed.length ? [] : prompt.ids.slice(-LONGEST_BEGINNING);
    this._biasNewText();
    this._decoder = tokenizer.streamDecoder(this.promptEnd);
    this._textEnd = new TextEnd(request);
    /** @type {import("./events.js").EndedBy | null} */
    this._endedBy = null;
    this.finished = false;
    /** @type {(TokenEvent | Finished)[]} */
    this.events = [];
  }

  /** The number of prompt tokens that have not been prefilled. */
  get nToPrefill() {
    return Math.max(0, this.prompt.length - this.nComputed);
  }

  /** The number of tokens that may still be generated. */
  get nLeft() {
    return this._end - this.ids.length;
  }

  /** Prepare for sampling: some tokens must not come first in a gap or in a text. @param {Float32Array} logits [V] */
  lookAt(logits) {
    const inGap = this._gapStart?.avoided(logits, this.agreeing) ?? [];
    const inText = this.agreeing === null ? (this._blankStart?.avoided ?? []) : [];
    this.sampler.never = [...this._never, ...inGap, ...inText];
  }

  /**
   * Report the next token. Finish the sequence if it is the last one, or if it is too unlikely to be used.
   *
   * @param {Choice} choice
   */
  add(choice) {
    const nTyped = this._typed.length;
    const isRespelled = nTyped > 0 && this._size(choice.id) <= nTyped;
    const least = this.sampler.params.min_logprob;
    if (least !== null && choice.logprob < least && !isRespelled) {
      this._endedBy = "min_logprob";
      this.finish("stop");
      return;
    }
    this.ids.push(choice.id);
    if (nTyped) this._spell(choice.id, isRespelled);
    // end-of-text ends a document; any other special token begins or ends a part of one
    const ended = this._tokenizer.specialIds.has(choice.id);
    const decoded = ended ? "" : this._decoder.feed(choice.id, nTyped);
    if (decoded && !isSpace(decoded)) {
      this._gapStart = this._blankStart = null; // the text has begun
    } else if (!isRespelled) {
      this._blankStart?.add(choice.id);
    }
    const [text, stopped] = ended || isRespelled ? ["", false] : this._textEnd.feed(choice.id, decoded);
    const { id, logprob, top } = choice;
    this.events.push({ type: "token", text, id, logprob, top, n_typed: nTyped });
    if (stopped) {
      this.finish("stop", { withHeld: false });
    } else if (ended || this.ids.length === this._end) {
      this._endedBy = ended ? "end_of_text" : null;
      this.finish(ended ? "stop" : "length");
    }
  }

  /**
   * Ids of the tokens that may follow `id` if it leaves a part of the prompt's end to be spelled.
   *
   * @param {number} id
   */
  agreeingBehind(id) {
    const left = this._typed.subarray(this._size(id));
    return left.length ? this._healing.agreeing(left) : null;
  }

  /**
   * Report the end. Held-back text is released if it belongs to the text.
   *
   * @param {FinishReason} reason
   * @param {{message?: string, withHeld?: boolean}} [options]
   */
  finish(reason, { message = "", withHeld = true } = {}) {
    this.finished = true;
    let held = "";
    try {
      if (withHeld) held = this._textEnd.finish(this._nWritten > 0 ? this._decoder.finish() : "");
    } catch (error) {
      reason = "error";
      message = `The text could not be ended: ${asSentence(error)}`;
    }
    const endedBy = this._textEnd.endedBy ?? this._endedBy;
    if (endedBy && reason === "length") reason = "stop";
    this.events.push({ type: "finished", reason, text: held, message, ended_by: endedBy, cut: this._textEnd.cut });
  }

  /** The events since the last call. */
  takeEvents() {
    const { events } = this;
    this.events = [];
    return events;
  }

  /** An incomplete character of the prompt is not part of the text. */
  get _nWritten() {
    return this.ids.length - this.prompt.length - this._nRespelled;
  }

  /** @param {number} id */
  _size(id) {
    return this._tokenizer.decodeBytes([id]).length;
  }

  /**
   * Record a token that spells a part of the prompt's end again; the last one may contain more.
   *
   * @param {number} id
   * @param {boolean} isRespelled
   */
  _spell(id, isRespelled) {
    this._typed = this._typed.subarray(this._size(id));
    if (isRespelled) {
      this._nRespelled += 1;
      this.sampler.nPrompt = this.ids.length;
    }
    if (this._typed.length) {
      this.agreeing = this._healing.agreeing(this._typed);
    } else {
      this.agreeing = null;
      this._end = Math.min(this._nPositions, this.ids.length - Number(!isRespelled) + this._maxNewTokens);
    }
    this._biasNewText();
  }

  /**
   * Apply the bias to tokens that add to the text, not to those that only spell the prompt's end again. That must be
   * spelled, so meanwhile a banned token is only avoided.
   */
  _biasNewText() {
    const { logit_bias } = this.sampler.params;
    const nTyped = this._typed.length;
    this.sampler.bias = nTyped
      ? logit_bias.filter(([id]) => this._size(id) > nTyped).map(([id, bias]) => [id, Math.max(bias, AVOIDED)])
      : logit_bias;
  }
}

/**
 * Tokens that must not be sampled: in left-to-right completion, the sentinels of fill-in-the-middle.
 *
 * @param {CompletionRequest} request
 * @param {Prompt} prompt
 * @param {Tokenizer} tokenizer
 */
function neverIds(request, prompt, tokenizer) {
  if (request.sampling.ignore_eos) return [...tokenizer.specialIds];
  return prompt.ids.some((id) => tokenizer.fimIds.has(id)) ? [] : [...tokenizer.fimIds];
}
