/** What the tokens of a statement of Java or JavaScript tell about the braces after it. */

/** @typedef {import("../languages.js").Language} Language */
/** @typedef {"function" | "class" | "block" | "literal"} BraceKind */

const CLASSES = new Set("class interface enum record".split(" "));
// before a brace, these say that it is a literal or a pattern, as in `x = {` and `import {`
const BEFORE_LITERALS = new Set("= ( [ , : ? & | + return import export const let var default yield await".split(" "));
export const CONTROLS = new Set("if for while switch catch with synchronized try await".split(" "));
export const CLAUSES = new Set("else catch finally".split(" "));
export const BEFORE_STATEMENTS = new Set("else do".split(" "));
export const MODIFIERS = new Set(
  "public private protected static abstract final synchronized async export default @".split(" "),
);
export const STARTERS = new Set([...MODIFIERS, ...CLASSES, ..."if for while switch try do else function".split(" ")]);
/** Stands for a pair of braces and everything inside. */
export const GROUP = "{}";

/**
 * What a brace opens after `statement`.
 *
 * @param {string[]} statement
 * @param {Language} language
 * @returns {BraceKind}
 */
export function kindOfBrace(statement, language) {
  if (!statement.length) return "block";
  const isOfCase = statement[0] === "case" || statement[0] === "default";
  if (beginsGroup(statement)) return isOfCase ? "block" : "function";
  const last = statement[statement.length - 1];
  if (language === "javascript" && BEFORE_LITERALS.has(last) && !(last === ":" && isOfCase)) return "literal";
  statement = withoutThrows(statement);
  if (statement[statement.length - 1] === ")") {
    const begins = matching(statement);
    const name = begins > 0 ? statement[begins - 1] : "";
    if (statement.slice(0, Math.max(0, begins - 1)).includes("record")) return "class";
    if (language === "java" && isMadeNew(statement.slice(0, begins))) return "class";
    return CONTROLS.has(name) ? "block" : "function";
  }
  return statement.some((word) => CLASSES.has(word)) ? "class" : "block";
}

/** Whether `statement` ends with the arrow of an arrow function or of a case. @param {string[]} statement */
export function beginsGroup(statement) {
  return endsWith(statement, "=", ">") || endsWith(statement, "-", ">");
}

/** Whether an arrow function has begun whose body is an expression. @param {string[]} statement */
export function hasArrow(statement) {
  const arrow = statement.findLastIndex((word, index) => index > 0 && word === ">" && statement[index - 1] === "=");
  return arrow >= 0 && !statement.includes(GROUP, arrow);
}

/** Whether the statement declares a method without a body, as in an interface: `int f(int a)`. @param {string[]} statement */
export function isAbstract(statement) {
  const declared = withoutThrows(statement);
  if (declared[declared.length - 1] !== ")" || declared.includes("=")) return false;
  const begins = matching(declared);
  return begins >= 2 && ![",", ".", "@"].includes(declared[begins - 2]);
}

/** The index of the bracket that the last token of `statement` closes. @param {string[]} statement */
export function matching(statement) {
  let depth = 0;
  for (let index = statement.length - 1; index >= 0; index--) {
    depth += Number(statement[index] === ")") - Number(statement[index] === "(");
    if (depth === 0) return index;
  }
  return 0;
}

/** @param {string[]} statement @param {string} first @param {string} second */
export function endsWith(statement, first, second) {
  return statement[statement.length - 2] === first && statement[statement.length - 1] === second;
}

/** @param {string[]} statement */
function withoutThrows(statement) {
  const index = statement.lastIndexOf("throws");
  return index < 0 ? statement : statement.slice(0, index);
}

/** Whether an anonymous class begins, as in `new Comparator<String>() {`. @param {string[]} before */
function isMadeNew(before) {
  const last = before.findLast((word) => ["new", "(", ",", "=", "return", ";", GROUP].includes(word));
  return last === "new";
}
