/** Downloads the files of a revision, keeps them in the browser's cache, and checks that they arrived undamaged. */

const CACHE = "santacoder-models";

/** The files of a revision could not be had; the message is a sentence for the user. */
export class DownloadError extends Error {}

/**
 * @param {{url: string, bytes: number, sha256: string}[]} files
 * @param {(loaded: number, total: number) => void} report called with the number of bytes at each piece that arrives.
 * @returns {Promise<Uint8Array[]>} the contents of the files.
 */
export async function download(files, report) {
  const total = files.reduce((sum, file) => sum + file.bytes, 0);
  const loaded = files.map(() => 0);
  const failing = new AbortController(); // one failed download ends the others
  const contents = files.map((file, index) =>
    contentOf(file, failing.signal, (bytes) => {
      loaded[index] = bytes;
      if (!failing.signal.aborted) report(loaded.reduce((sum, each) => sum + each), total);
    }),
  );
  return Promise.all(contents).catch((error) => {
    failing.abort();
    throw error;
  });
}

/**
 * Drop the files that this site no longer has from the cache; those of other sites on the same host stay.
 *
 * @param {{files: {url: string}[]}[]} revisions
 */
export async function dropOthers(revisions) {
  const cache = "caches" in globalThis ? await caches.open(CACHE).catch(() => null) : null;
  const folder = new URL("./models/", location.href).href;
  const known = new Set(revisions.flatMap(({ files }) => files.map(({ url }) => new URL(url, location.href).href)));
  for (const { url } of (await cache?.keys()) ?? []) if (url.startsWith(folder) && !known.has(url)) await cache?.delete(url);
}

async function contentOf(file, signal, report) {
  // without a secure context there is no cache, and the browser's own one must do
  const cache = "caches" in globalThis ? await caches.open(CACHE).catch(() => null) : null;
  const kept = await cache?.match(file.url, { ignoreVary: true });
  if (kept) {
    const content = await read(kept, file, report);
    if (await isRight(content, file)) return content;
    await cache.delete(file.url);
  }
  const content = await read(await response(file, signal), file, report);
  if (!(await isRight(content, file))) {
    throw new DownloadError(`${nameOf(file)} arrived damaged; press Try again to download it once more.`);
  }
  // a full disk is no reason not to run
  await cache?.put(file.url, new Response(content, { headers: { "Content-Length": String(content.length) } })).catch(() => {});
  return content;
}

async function response(file, signal) {
  let found;
  try {
    found = await fetch(file.url, { cache: "no-store", signal });
  } catch {
    throw new DownloadError(`${nameOf(file)} cannot be downloaded: the site cannot be reached. Check the connection, and try again.`);
  }
  if (found.status === 404) {
    // pages and their lists of models come from the cache until all tabs are closed (sw.js)
    throw new DownloadError(
      `${nameOf(file)} is not on the site, probably because the site is newer than this page. Close all of its tabs, and open it again.`,
    );
  }
  if (!found.ok) {
    throw new DownloadError(`${nameOf(file)} cannot be downloaded: the site answered with status ${found.status}. Try again later.`);
  }
  return found;
}

async function read(found, file, report) {
  const content = new Uint8Array(file.bytes);
  let length = 0;
  const reader = found.body.getReader();
  for (;;) {
    const { done, value } = await reader.read().catch(() => {
      throw new DownloadError(`The download of ${nameOf(file)} was interrupted; try again.`);
    });
    if (done) break;
    if (length + value.length > content.length) return new Uint8Array(); // another file than the one that was announced
    content.set(value, length);
    length += value.length;
    report(length);
  }
  return content.subarray(0, length);
}

async function isRight(content, file) {
  if (content.length !== file.bytes) return false;
  if (!globalThis.crypto?.subtle) return true; // only in secure contexts
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("") === file.sha256;
}

const nameOf = (file) => file.url.split("/").at(-1);
