/** Writes with transformers.js in a worker, on one thread, and measures it there. */
import { AutoModelForCausalLM, AutoTokenizer, TextStreamer, env } from "./transformers.min.js";

env.allowRemoteModels = false;
env.allowLocalModels = true;
env.localModelPath = new URL("./models/", import.meta.url).pathname; // a whole URL would count as remote
env.useWasmCache = false;
env.backends.onnx.wasm.wasmPaths = new URL("./", import.meta.url).href;
env.backends.onnx.wasm.numThreads = 1;

/** Sends the text to the page, and keeps the times of the tokens. */
class Clock extends TextStreamer {
  constructor(tokenizer) {
    super(tokenizer, { skip_prompt: true, callback_function: (added) => postMessage({ added }) });
    this.times = []; // the first are the prompt's
  }
  put(value) {
    this.times.push(performance.now());
    super.put(value);
  }
}

let loaded = null;

onmessage = async ({ data: { text, maxNewTokens } }) => {
  try {
    loaded ??= Promise.all([
      AutoTokenizer.from_pretrained("model"),
      AutoModelForCausalLM.from_pretrained("model", { dtype: "fp32", device: "wasm" }),
    ]);
    const [tokenizer, model] = await loaded;
    const began = performance.now();
    const inputs = tokenizer(text);
    const streamer = new Clock(tokenizer);
    const ids = await model.generate({ ...inputs, max_new_tokens: maxNewTokens, do_sample: false, streamer });
    const [, first, ...others] = streamer.times;
    const nPrompt = inputs.input_ids.dims[1];
    postMessage({
      nPrompt,
      text: tokenizer.decode(ids.slice(0, [nPrompt, null]), { skip_special_tokens: false }),
      firstToken: first - began,
      tokensPerSecond: (1000 * others.length) / (others.at(-1) - first),
    });
  } catch (error) {
    postMessage({ error: String(error?.stack ?? error) });
  }
};
