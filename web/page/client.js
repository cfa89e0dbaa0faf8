/** The page's side of the model's worker. */

/**
 * @typedef {{name: string, graph: string, fim_order: string | null, files: {url: string, bytes: number, sha256: string}[]}} Revision
 */

export class Client {
  /** @param {(loaded: number, total: number) => void} onProgress called while a revision is downloaded. */
  constructor(onProgress) {
    this._onProgress = onProgress;
    this._opened = "";
    this._opening = null;
    this._run = null;
    this._n = 0;
    /**
     * Only pages that are isolated from other origins may share memory between threads. Half of the processors are left
     * to the page: on two, a second thread makes a small model slower.
     */
    this.nThreads = globalThis.crossOriginIsolated ? Math.max(1, Math.min(4, navigator.hardwareConcurrency >> 1)) : 1;
  }

  /**
   * Download and open `revision`, unless it is open already.
   *
   * @param {Revision} revision
   * @throws {Error} with a sentence for the user.
   */
  async open(revision) {
    if (this._opening?.name === revision.name) return this._opening.promise;
    if (this._opened === revision.name) return undefined;
    this._fail("Another model was chosen.");
    const promise = new Promise((resolve, reject) => {
      this._settle = { resolve, reject };
    });
    this._opening = { name: revision.name, promise };
    this._end(); // WebAssembly's memory never shrinks: only the end of the worker gives back that of the last model
    try {
      this._post({ type: "open", revision, threads: this.nThreads });
      await promise;
      this._opened = revision.name;
    } finally {
      if (this._opening?.promise === promise) this._opening = null;
    }
    return undefined;
  }

  /**
   * Do `tasks` with the open revision, one candidate after another.
   *
   * @param {object[]} tasks as in engine/task.js.
   * @param {AbortSignal} signal stops before the next token.
   * @param {(event: {candidate: number, at: number} & import("../engine/task.js").Update) => void} onEvent
   */
  async run(tasks, signal, onEvent) {
    if (signal.aborted) return;
    const id = ++this._n;
    const stop = () => this._worker?.postMessage({ type: "stop" });
    signal.addEventListener("abort", stop);
    await new Promise((resolve, reject) => {
      this._run = { id, resolve, reject, onEvent };
      this._post({ type: "run", id, tasks });
    }).finally(() => {
      signal.removeEventListener("abort", stop);
      this._run = null;
    });
  }

  _post(message) {
    if (!this._worker) {
      if (!("WebAssembly" in globalThis)) {
        throw new Error("This browser has no WebAssembly, which the model needs; use a current version of any browser.");
      }
      this._worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
      this._worker.onmessage = ({ data }) => this._receive(data);
      this._worker.onerror = (event) => {
        event.preventDefault();
        this._fail("The model's worker cannot be started; reload the page.");
        this._end();
      };
    }
    this._worker.postMessage(message);
  }

  _end() {
    this._worker?.terminate();
    this._worker = null;
    this._opened = "";
  }

  _receive(data) {
    if (data.type === "progress") this._onProgress(data.loaded, data.total);
    else if (data.type === "opened") this._settle.resolve();
    else if (data.type === "event" && data.id === this._run?.id) this._run.onEvent(data);
    else if (data.type === "ended" && data.id === this._run?.id) this._run.resolve();
    else if (data.type === "failed") this._fail(data.sentence, data.during);
  }

  _fail(sentence, during = "") {
    const error = new Error(sentence);
    if (during !== "run" && this._opening) this._settle.reject(error);
    if (during !== "open") this._run?.reject(error);
  }
}
