/**
 * The model's worker: it downloads a revision, opens it, and writes. The page stays responsive, because nothing here runs
 * on its thread.
 *
 * Messages to it: `{type: "open", revision, threads}`, `{type: "run", id, tasks}`, `{type: "stop"}`.
 * Messages from it: `progress`, `opened`, `event`, `ended`, `failed` (with a sentence for the user).
 */
import * as ort from "./vendor/ort.wasm.min.mjs";
import { DownloadError, download } from "./download.js";
import { asSentence } from "./engine/errors.js";
import { Runner } from "./engine/runner.js";
import { fill } from "./engine/task.js";
import { Tokenizer } from "./engine/tokenizer.js";

let model = null;
let stopping = new AbortController();
let last = Promise.resolve();

addEventListener("message", ({ data }) => {
  if (data.type === "stop") stopping.abort();
  else last = last.then(() => handle(data));
});

async function handle(message) {
  try {
    if (message.type === "open") await open(message.revision, message.threads);
    else await run(message);
  } catch (error) {
    postMessage({ type: "failed", id: message.id, sentence: sentenceOf(error, message.type), during: message.type });
  }
}

async function open(revision, threads) {
  ort.env.wasm.wasmPaths = new URL("./vendor/", import.meta.url).href;
  ort.env.wasm.numThreads = threads;
  const report = (loaded, total) => postMessage({ type: "progress", loaded, total });
  const [graph, weights, tokenizer, config] = await download(revision.files, report);
  const json = (bytes) => JSON.parse(new TextDecoder().decode(bytes));
  const runner = await Runner.open(ort, { graph, weights, name: revision.graph }, json(config));
  model = { runner, tokenizer: new Tokenizer(json(tokenizer)), fimOrder: revision.fim_order };
  postMessage({ type: "opened", name: revision.name });
}

async function run({ id, tasks }) {
  if (!model) throw new Error("No model is open; choose one.");
  stopping = new AbortController();
  const { tokenizer, runner, fimOrder } = model;
  for (const [candidate, task] of tasks.entries()) {
    for await (const update of fill({ ...task, fimOrder }, tokenizer, runner, { signal: stopping.signal })) {
      // the page may be busy when it hears of it
      postMessage({ type: "event", id, candidate, ...update, at: performance.now() });
      await turn();
    }
    if (stopping.signal.aborted) break;
  }
  postMessage({ type: "ended", id });
}

const channel = new MessageChannel();
let resume = () => {};
channel.port1.onmessage = () => resume();

/** Let waiting messages, such as Stop, be handled; a timer would wait for 4 ms. */
function turn() {
  return new Promise((resolve) => {
    resume = resolve;
    channel.port2.postMessage(null);
  });
}

function sentenceOf(error, during) {
  const text = String(error?.message ?? error).split("\n")[0];
  if (error instanceof RangeError || /memory|allocation|bad_alloc/i.test(text)) {
    return "There is too little memory for this model; close other tabs, or choose a smaller model.";
  }
  // those of the runtime are no sentences
  return during === "open" && !(error instanceof DownloadError) ? `The model cannot be opened: ${asSentence(text)}` : text;
}
