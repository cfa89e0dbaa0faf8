/**
 * Runs the model with ONNX Runtime Web, from the graph of `python -m export --precision web`.
 *
 * The interface is that of `santacoder/engine/runner.py`, with a single sequence.
 */

/** The buffer of keys and values has a multiple of so many positions. */
const BLOCK = 128;

/** @typedef {typeof import("onnxruntime-web")} Ort */
/** @typedef {import("onnxruntime-web").InferenceSession} Session */
/** @typedef {{n_layer: number, n_head: number, n_embd: number, multi_query: boolean, n_positions: number}} Shape */

export class Runner {
  /**
   * Open a graph.
   *
   * @param {Ort} ort ONNX Runtime Web.
   * @param {{graph: Uint8Array, weights: Uint8Array, name: string}} files the graph, its data, and the graph's file name.
   * @param {Shape} config the shape, as export.site writes it.
   * @returns {Promise<Runner>}
   */
  static async open(ort, files, config) {
    const session = await ort.InferenceSession.create(files.graph, {
      executionProviders: ["wasm"],
      externalData: [{ path: `${files.name}_data`, data: files.weights }],
    });
    return new Runner(ort, session, config);
  }

  /** @param {Ort} ort @param {Session} session @param {Shape} config */
  constructor(ort, session, config) {
    this._ort = ort;
    this._session = session;
    const nHeads = config.multi_query ? 1 : config.n_head;
    this._width = (2 * config.n_layer * nHeads * config.n_embd) / config.n_head;
    /** The keys and values of the tokens so far, [capacity, width]. */
    this._past = new Float32Array(BLOCK * this._width);
    this.nPositions = config.n_positions;
  }

  /**
   * Prefill `ids` from position `start` on; what was there before is overwritten.
   *
   * @param {number[]} ids
   * @param {number} start
   * @param {number} nLogits
   * @returns {Promise<Float32Array>} the logits after the last `nLogits` tokens, [nLogits, V].
   */
  async prefill(ids, start, nLogits) {
    const { Tensor } = this._ort;
    const wanted = BigInt64Array.from({ length: nLogits }, (_, index) => BigInt(ids.length - nLogits + index));
    const results = await this._session.run({
      input_ids: new Tensor("int64", BigInt64Array.from(ids, BigInt), [ids.length]),
      logits_index: new Tensor("int64", wanted, [nLogits]),
      past: new Tensor("float32", this._past.subarray(0, start * this._width), [start, this._width]),
    });
    this._grow(start + ids.length);
    this._past.set(/** @type {Float32Array} */ (results.new.data), start * this._width);
    return /** @type {Float32Array} */ (results.logits.data);
  }

  /** Enlarge the buffer to at least `needed` positions. @param {number} needed */
  _grow(needed) {
    if (needed * this._width <= this._past.length) return;
    const larger = new Float32Array(Math.ceil(needed / BLOCK) * BLOCK * this._width);
    larger.set(this._past);
    this._past = larger;
  }
}
