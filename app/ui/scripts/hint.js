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

  const textOf = () => viewOf()?.state.doc.toString().trim() ?? "";

  function look() {
    const line = document.querySelector("#complete-hint .hint-line");
    const isHidden = !isInstruction(textOf());
    if (line && line.hidden !== isHidden) line.hidden = isHidden;
  }

  function turn() {
    const text = textOf();
    if (!isInstruction(text)) return look(); // it has been replaced a moment ago
    const view = viewOf();
    const language = document.querySelector("#complete-language input:checked")?.value ?? "python";
    const insert = BEGINNINGS[language](text.replaceAll(/\s+/g, " "));
    const changes = { from: 0, to: view.state.doc.length, insert };
    view.dispatch({ changes, selection: { anchor: insert.length }, userEvent: "input" });
    view.focus();
    look();
  }

  // Run, Undo, examples and the history replace the code without input.
  let waiting = 0;
  const elementOf = (node) => (node instanceof Element ? node : node.parentElement);
  new MutationObserver((records) => {
    if (!records.some(({ target }) => elementOf(target)?.closest("#complete-editor"))) return;
    waiting ||= setTimeout(() => ((waiting = 0), look()), 300);
  }).observe(document, { childList: true, characterData: true, subtree: true });
  document.addEventListener("click", ({ target }) => target.closest?.("#complete-hint button") && turn());
})();
