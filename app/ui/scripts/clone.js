// Svelte copies the properties of a component by structuredClone, one value at a time, thousands for each run. Most are
// strings, numbers and truth values, which need no copy.
(() => {
  const copied = window.structuredClone.bind(window);
  const NEED_NONE = new Set(["undefined", "boolean", "number", "bigint", "string"]);
  window.structuredClone = (value, ...options) =>
    value === null || NEED_NONE.has(typeof value) ? value : copied(value, ...options);
})();
