/** Windows line ends: the model reads and writes LF; a text that has CRLF gets CRLF back. */

/** @param {string} text */
export function toLf(text) {
  return text.replaceAll("\r\n", "\n");
}

/**
 * Whether the line end nearest to the gap is CRLF: the last of `prefix`, or else the first of `suffix`.
 *
 * @param {string} prefix
 * @param {string} suffix
 */
export function usesCrlf(prefix, suffix = "") {
  const isInPrefix = prefix.includes("\n");
  const text = isInPrefix ? prefix : suffix;
  const position = isInPrefix ? text.lastIndexOf("\n") : text.indexOf("\n");
  return position > 0 && text[position - 1] === "\r";
}

/** Converts every LF of a streamed text to CRLF, unless it already has a CR. */
export class CrlfWriter {
  constructor() {
    this._isAfterCr = false;
  }

  /** @param {string} text */
  feed(text) {
    if (!text) return text;
    const written = this.peek(text);
    this._isAfterCr = text.endsWith("\r");
    return written;
  }

  /** What {@link feed} would return, without changing the state. @param {string} text */
  peek(text) {
    const written = toLf(text).replaceAll("\n", "\r\n");
    return this._isAfterCr && text.startsWith("\n") ? written.slice(1) : written;
  }
}
