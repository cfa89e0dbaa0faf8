/** The test vectors that Python's engine has written (`tests/web/write_vectors.py`), and what several tests need. */

import { readFileSync } from "node:fs";

import { Tokenizer } from "../engine/tokenizer.js";

const TESTS = new URL("../../tests/", import.meta.url);

/** @param {string} name */
export function vectors(name) {
  return JSON.parse(readFileSync(new URL(`web/vectors/${name}.json`, TESTS), "utf-8"));
}

export const tokenizer = new Tokenizer(JSON.parse(readFileSync(new URL("tokenizer.json", TESTS), "utf-8")));

/** The pieces of `size` characters of a text. @param {string} text @param {number} size @returns {string[]} */
export function pieces(text, size) {
  const characters = Array.from(text);
  const starts = Array.from({ length: Math.ceil(characters.length / size) }, (_, index) => index * size);
  return starts.map((start) => characters.slice(start, start + size).join(""));
}

/**
 * How much an end shows after each piece of a text, and what it shows at the end.
 *
 * @param {{feed: (text: string) => [string, boolean], finish: () => string}} end
 * @param {string} text
 * @param {number} size
 */
export function fed(end, text, size) {
  const lengths = [];
  for (const piece of pieces(text, size)) {
    const [shown, hasEnded] = end.feed(piece);
    lengths.push(shown.length);
    if (hasEnded) return [lengths, ""];
  }
  return [lengths, end.finish()];
}
