// Functions of the editors in addition to Gradio's: indentation like that of the code, gap markers at the cursor, accepting
// a continuation word by word or line by line, and no input while the model writes.
(() => {
  const MARK = "<FILL_HERE>";
  const viewOf = (editor) => editor?.querySelector(".cm-content")?.cmTile?.root?.view;
  const paneOf = (editor) => editor.id.replace(/-editor$/, "");

  // The unit of indentation: the most frequent one in the code, or else that of the language.
  function unitOf(editor) {
    const lines = viewOf(editor).state.doc.toString().slice(0, 20000).split("\n").filter((line) => line.trim());
    const steps = new Map();
    let last = 0;
    for (const line of lines) {
      const space = line.match(/^[ \t]*/)[0];
      if (space.includes("\t")) return "\t";
      // lines of block comments and of aligned lists are not informative
      const step = space.length - last;
      if (step > 1 && step <= 8) steps.set(step, (steps.get(step) ?? 0) + 1);
      last = space.length;
    }
    const [usual] = [...steps].sort((first, second) => second[1] - first[1]);
    if (usual) return " ".repeat(usual[0]);
    const language = document.querySelector(`#${paneOf(editor)}-language input:checked`)?.value;
    return " ".repeat(language === "javascript" ? 2 : 4);
  }

  // Whether the model writes into an editor, over whatever is typed there. Other panes show what they write elsewhere.
  const isRunning = (editor) =>
    document.querySelector(`#${paneOf(editor)}-status`) && document.querySelector(`#${paneOf(editor)}-run`).disabled;
  const isOfRunning = (state) =>
    [...document.querySelectorAll(".code-editor")].some((editor) => viewOf(editor)?.state === state && isRunning(editor));

  // The editor reads from facets of its state whether it is read-only, and the unit, whose default is two spaces. Gradio has
  // no settings for them.
  let unit = null;
  const states = new WeakSet();
  function teach(view) {
    const kind = Object.getPrototypeOf(view.state);
    if (states.has(kind)) return;
    states.add(kind);
    const { facet, constructor } = kind;
    kind.facet = function (asked) {
      if (asked === constructor.readOnly && isOfRunning(this)) return true;
      return unit && asked.default === "  " ? unit : facet.call(this, asked);
    };
  }

  // A text, and where its caret was when a key or a mouse button was first pressed in it. Once the caret has been moved, Alt
  // and an arrow do what they do in any editor: on a Mac, move it by a word.
  let begun = null;
  for (const kind of ["keydown", "mousedown"]) {
    addEventListener(
      kind,
      (event) => {
        const state = viewOf(event.target.closest?.(".code-editor"))?.state;
        if (state && state.doc !== begun?.doc) begun = { doc: state.doc, head: state.selection.main.head };
      },
      true,
    );
  }

  addEventListener(
    "keydown",
    (event) => {
      const editor = event.target.closest?.(".cm-content")?.closest(".code-editor");
      const view = viewOf(editor);
      if (!view) return;
      if (event.key === "Enter" || event.key === "Tab" || event.key.length === 1) unit = unitOf(editor);
      const parts = { ArrowRight: word, ArrowDown: line };
      if (event.altKey && !event.ctrlKey && !event.metaKey && parts[event.key] && accept(editor, view, parts[event.key])) {
        event.preventDefault();
        event.stopPropagation();
      }
    },
    true,
  );

  // Edited text counts as the user's. CodeMirror handles some keys, pasting and dropping without "beforeinput".
  for (const kind of ["beforeinput", "keydown", "paste", "cut", "drop"]) {
    addEventListener(
      kind,
      (event) => {
        const editor = event.target.closest?.(".code-editor");
        const view = viewOf(editor);
        if (!view) return;
        teach(view);
        const { doc } = view.state;
        setTimeout(() => view.state.doc.eq(doc) || forgetMarks(editor));
      },
      true,
    );
  }

  // The marks of generated text and of copies are places in the text as it was.
  function forgetMarks(editor) {
    document.querySelector(`#${paneOf(editor)}-status [data-written]`)?.removeAttribute("data-written");
    document.querySelector(`#${paneOf(editor)}-origin-badge [data-copied]`)?.removeAttribute("data-copied");
  }

  // The length up to the end of the next word, or of the next line that is not blank.
  const word = (text) => text.match(/^\s*(?:[\p{L}\p{N}_$]+|[^\s\p{L}\p{N}_$]+|$)/u)[0].length;
  const line = (text) => text.match(/^\s*[^\n]*/)[0].length;

  // The continuation that is being accepted: the editor, its start, its whole text, and the length accepted so far.
  let pending = null;

  // Accepts a `part` more. False if there is nothing to accept, or the caret was moved away from what is accepted next.
  function accept(editor, view, part) {
    const { doc } = view.state;
    const { head } = view.state.selection.main;
    const isAway = (...places) => ![begun.head, ...places].includes(head);
    const isSame = pending?.editor === editor && doc.eq(pending.doc);
    if (isSame && isAway(pending.begin + pending.accepted)) return false;
    if (!isSame) {
      const status = document.querySelector(`#${paneOf(editor)}-status [data-written]`);
      const places = status?.dataset.running === "false" ? status.dataset.written.split(" ") : [];
      if (places.length !== 1 || !places[0]) return false;
      const [first, from, last, to] = places[0].split(/[:-]/).map(Number);
      const [begin, end] = [doc.line(first + 1).from + from, doc.line(last + 1).from + to];
      if (begin === end || isAway(begin, end)) return false;
      pending = { editor, begin, text: doc.sliceString(begin, end), shown: end - begin, accepted: 0 };
      status.removeAttribute("data-written");
    }
    const { begin, text, shown, accepted } = pending;
    const length = accepted + part(text.slice(accepted));
    const insert = text.slice(0, length);
    view.dispatch({ changes: { from: begin, to: begin + shown, insert }, selection: { anchor: begin + length } });
    Object.assign(pending, { shown: length, accepted: length, doc: view.state.doc });
    return true;
  }

  santacoder.insertGap = (pane) => {
    const editor = document.querySelector(`#${pane}-editor`);
    const view = viewOf(editor);
    if (!view || isRunning(editor)) return;
    view.dispatch({ ...view.state.replaceSelection(MARK), userEvent: "input" });
    forgetMarks(editor);
    view.focus();
  };
})();
