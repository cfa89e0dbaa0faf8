/** Permalinks: everything that the page shows is in the fragment of the URL, so that nothing is stored on any server. */

const MOST = 200_000;

/** @param {object} state @returns {Promise<string | null>} the fragment, without `#`, or null if the state is too large. */
export async function toFragment(state) {
  const content = new Blob([JSON.stringify(state)]);
  if (content.size > MOST) return null;
  const packed = content.stream().pipeThrough(new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(packed).arrayBuffer());
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** @param {string} fragment @returns {Promise<object | null>} the state, or null if it is none. */
export async function fromFragment(fragment) {
  try {
    const text = atob(fragment.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
    const parts = [];
    for (let size = 0; ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      size += value.length;
      if (size > MOST) return null; // a short fragment can unpack to gigabytes
    }
    const state = JSON.parse(await new Blob(parts).text());
    return state && typeof state === "object" && typeof state.code === "string" ? state : null;
  } catch {
    return null;
  }
}
