import js from "@eslint/js";
import globals from "globals";

const strict = {
  eqeqeq: "error",
  "no-console": "error",
  "no-unused-vars": ["error", { varsIgnorePattern: "^_$" }], // for (const _ of text) counts
  "no-var": "error",
  "object-shorthand": "error",
  "prefer-const": ["error", { destructuring: "all" }],
};

export default [
  { ignores: ["node_modules/"] },
  js.configs.recommended,
  { rules: strict, linterOptions: { reportUnusedDisableDirectives: "error" } },
  // the engine runs in a page, in a worker and in Node.js
  { files: ["engine/**"], languageOptions: { globals: { TextDecoder: false, TextEncoder: false, AbortSignal: false } } },
  { files: ["page/**"], languageOptions: { globals: { ...globals.browser } } },
  { files: ["page/worker.js"], languageOptions: { globals: { ...globals.worker } } },
  { files: ["page/sw.js"], languageOptions: { globals: { ...globals.serviceworker } } },
  { files: ["tests/**", "eslint.config.js"], languageOptions: { globals: { ...globals.node } } },
];
