import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { download } from "../page/download.js";

const FILE = { url: "./models/a--b/0123/tokenizer.json", bytes: 2, sha256: "" };
const { fetch } = globalThis;

afterEach(() => {
  globalThis.fetch = fetch;
});

for (const [status, sentence] of [
  [404, /^tokenizer\.json is not on the site, .* Close all of its tabs, and open it again\.$/],
  [503, /^tokenizer\.json cannot be downloaded: the site answered with status 503\. Try again later\.$/],
]) {
  test(`status ${status} is told with what to do`, async () => {
    globalThis.fetch = async () => new Response("", { status });
    await assert.rejects(download([FILE], () => {}), { message: sentence });
  });
}
