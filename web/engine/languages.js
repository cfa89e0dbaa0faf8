/** The languages of the model, and detection of the language of a text. */

import { lastCharacters } from "./characters.js";

/** @typedef {"python" | "java" | "javascript"} Language */

// the end of a text is as informative as all of it
const CHARACTERS = 4000;
// in a pattern, \b and \w of JavaScript only know ASCII, and ^ and $ other line ends than LF
const WORD = "[\\p{L}\\p{N}_]";
const BOUNDARY = `(?:(?<=${WORD})(?!${WORD})|(?<!${WORD})(?=${WORD}))`;

/** @type {Record<Language, RegExp>} */
const SIGNS = {
  python: pattern(
    "^[ \\t]*(?:(?:async )?def \\w+|class \\w+\\b[^\\{\\n]*:|from [\\w.]+ import|import [\\w.]+(?: as \\w+)?[ \\t]*$" +
      "|elif\\b|except\\b|(?:if|for|while|with|try|else)\\b[^\\{\\n]*:[ \\t]*$|@\\w+|#(?!!))" +
      "|\\bself\\b|\\bNone\\b|\\bTrue\\b|\\bFalse\\b",
  ),
  java: pattern(
    "^[ \\t]*(?:package [\\w.]+;|import (?:static )?[\\w.*]+;|@Override)" +
      "|\\b(?:public|private|protected)\\b|\\bfinal [A-Z]|\\b(?:int|boolean|double|long|void|String)\\b(?:\\[\\])? \\w" +
      "|\\bnew [A-Z]\\w*<|\\bSystem\\.out\\b|\\bthrows\\b",
  ),
  javascript: pattern(
    "\\b(?:function|const|let|var|typeof|undefined|require)\\b|\\basync (?:function|\\()|=>|===|!==" +
      "|\\bmodule\\.exports\\b|\\bconsole\\.log\\b|`|\\bexport (?:default|const)\\b" +
      "|\\bconstructor ?\\(|\\b[gs]et \\w+ ?\\(\\w*\\) ?\\{",
  ),
};

/**
 * The language with the most indications in the end of `text`, or `otherwise` if there are none.
 *
 * @param {string} text
 * @param {Language} otherwise
 * @returns {Language}
 */
export function guessLanguage(text, otherwise = "python") {
  const end = lastCharacters(text, CHARACTERS);
  let best = otherwise;
  let most = 0;
  for (const language of /** @type {Language[]} */ (["python", "java", "javascript"])) {
    const count = end.match(SIGNS[language])?.length ?? 0;
    if (count > most || (count === most && count && language === otherwise)) [best, most] = [language, count];
  }
  return best;
}

/** A pattern of Python's `re`, with MULTILINE. @param {string} source */
function pattern(source) {
  const translated = source
    .replaceAll("[\\w", "[\\p{L}\\p{N}_")
    .replaceAll("\\w", WORD)
    .replaceAll("\\b", BOUNDARY)
    .replaceAll("^[ ", "(?<![^\\n])[ ")
    .replaceAll("$", "(?![^\\n])");
  return new RegExp(translated, "gu");
}
