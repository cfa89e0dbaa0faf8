/**
 * Runs requests with the engine of the browser in Node.js: `node web/tests/write.js FOLDER < requests.json`, where FOLDER
 * has the files of a revision as export.site writes them. Prints the events of each request, as JSON.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";

import * as ort from "onnxruntime-web/wasm";
import { Accumulator } from "../engine/accumulator.js";
import { generate } from "../engine/generate.js";
import { Runner } from "../engine/runner.js";
import { Tokenizer } from "../engine/tokenizer.js";
import { fromPython } from "./request.js";

const [folder] = process.argv.slice(2);
const json = (/** @type {string} */ name) => JSON.parse(readFileSync(join(folder, name), "utf-8"));
const bytes = (/** @type {string} */ name) => new Uint8Array(readFileSync(join(folder, name)));

ort.env.wasm.numThreads = 1;
const files = { graph: bytes("model_web.onnx"), weights: bytes("model_web.onnx_data"), name: "model_web.onnx" };
const runner = await Runner.open(ort, files, json("config.json"));
const tokenizer = new Tokenizer(json("tokenizer.json"));

/** @param {Record<string, any>} fields */
async function written(fields) {
  const accumulator = new Accumulator(tokenizer);
  /** @type {{id: number, logprob: number, top: [number, number][]}[]} */
  const tokens = [];
  let reason = "";
  for await (const event of generate(fromPython(fields), tokenizer, runner)) {
    accumulator.add(event);
    if (event.type === "token") tokens.push({ id: event.id, logprob: event.logprob, top: event.top });
    if (event.type === "finished") reason = event.message || event.reason;
  }
  return { text: accumulator.text, tokens, reason };
}

const results = [];
for (const request of JSON.parse(readFileSync(0, "utf-8"))) results.push(await written(request));
process.stdout.write(JSON.stringify(results));
