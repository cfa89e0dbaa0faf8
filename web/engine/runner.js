/**
 * Runs the model with ONNX Runtime Web, from the graph of `python -m export --precision web`.
 *
 * The interface is that of `santacoder/engine/runner.py`, with a single sequence.
 */

/** The key/value buffers have a multiple of so many positions. Every step copies them whole, so they are hardly larger than
 * what is in them. */
const BLOCK = 128;

/** @typedef {typeof import("onnxruntime-web")} Ort */
/** @typedef {import("onnxruntime-web").InferenceSession} Session */
/** @typedef {import("onnxruntime-web").Tensor} Tensor */
/** @typedef {{n_layer: number, n_head: number, n_embd: number, multi_query: boolean, n_positions: number, vocab_size: number}} Shape */

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
    this._headDim = config.n_embd / config.n_head;
    this._nHeads = config.multi_query ? 1 : config.n_head;
    this._names = Array.from({ length: config.n_layer }, (_, layer) => [`k.${layer}`, `v.${layer}`]).flat();
    /** @type {Map<string, Tensor>} */
    this._caches = new Map();
    this._capacity = 0;
    this.nPositions = config.n_positions;
    this.vocabSize = config.vocab_size;
    this._grow(BLOCK);
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
    const end = start + ids.length;
    if (end > this._capacity) this._grow(end);
    /** @type {Record<string, Tensor>} */
    const feeds = {
      input_ids: new Tensor("int64", BigInt64Array.from(ids, BigInt), [1, ids.length]),
      position_ids: new Tensor("int64", BigInt64Array.from(ids, (_, index) => BigInt(start + index)), [1, ids.length]),
      seqlens_k: new Tensor("int32", Int32Array.of(end - 1), [1]),
      total_sequence_length: new Tensor("int32", Int32Array.of(end), []),
      logits_index: new Tensor(
        "int64",
        BigInt64Array.from({ length: nLogits }, (_, index) => BigInt(ids.length - nLogits + index)),
        [nLogits],
      ),
    };
    for (const [name, cache] of this._caches) feeds[`past_${name}`] = cache;
    const results = await this._session.run(feeds);
    for (const name of this._names) this._caches.set(name, results[`present_${name}`]);
    return /** @type {Float32Array} */ (results.logits.data);
  }

  /**
   * Decode the token `id` at `position`.
   *
   * @param {number} id
   * @param {number} position
   * @returns {Promise<Float32Array>} the logits after it, [V].
   */
  decode(id, position) {
    return this.prefill([id], position, 1);
  }

  /** Free the graph and the buffers. */
  async close() {
    await this._session.release();
    this._caches.clear();
  }

  /** Enlarge the buffers to at least `needed` positions. @param {number} needed */
  _grow(needed) {
    const before = this._capacity;
    this._capacity = Math.ceil(needed / BLOCK) * BLOCK;
    const shape = [1, this._nHeads, this._capacity, this._headDim];
    for (const name of this._names) {
      const larger = new Float32Array(this._nHeads * this._capacity * this._headDim);
      const cache = this._caches.get(name);
      const data = /** @type {Float32Array | undefined} */ (cache?.data);
      for (let head = 0; data && head < this._nHeads; head++) {
        const rows = data.subarray(head * before * this._headDim, (head + 1) * before * this._headDim);
        larger.set(rows, head * this._capacity * this._headDim);
      }
      this._caches.set(name, new this._ort.Tensor("float32", larger, shape));
    }
  }
}
