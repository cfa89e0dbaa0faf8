// A hint below the editor of the Complete pane, when it has an instruction in English instead of code. One click makes it
// a comment with the beginning of a function.
(() => {
  const BEGINNINGS = {
    python: (text) => `# ${text}\ndef `,
    java: (text) => `// ${text}\npublic static `,
    javascript: (text) => `// ${text}\nfunction `,
  };
  const ASKS = /^(?:please |can you |could you )?(?:write|create|implement|make|generate|give|build|add|show|explain|how (?:do|to|can)|what (?:is|does)) /i;

  const viewOf = () => document.querySelector("#complete-editor .cm-content")?.cmTile?.root?.view;
  // at most a few lines of words, without the signs of code
  const isInstruction = (text) => text.length < 400 && ASKS.test(text) && !/[{};=]|^\s*(?:#|\/\/|def |class )/m.test(text);

  function look() {
    const line = document.querySelector("#complete-hint .hint-line");
    if (line) line.hidden = !isInstruction(viewOf()?.state.doc.toString().trim() ?? "");
  }

  function turn() {
    const view = viewOf();
    const language = document.querySelector("#complete-language input:checked")?.value ?? "python";
    const text = view.state.doc.toString().trim().replaceAll(/\s+/g, " ");
    const insert = BEGINNINGS[language](text);
    const changes = { from: 0, to: view.state.doc.length, insert };
    view.dispatch({ changes, selection: { anchor: insert.length }, userEvent: "input" });
    view.focus();
    look();
  }

  let waiting = 0;
  document.addEventListener("input", ({ target }) => {
    if (!target.closest?.("#complete-editor")) return;
    clearTimeout(waiting);
    waiting = setTimeout(look, 300);
  });
  document.addEventListener("click", ({ target }) => target.closest?.("#complete-hint button") && turn());
})();
