// What the model would write after an example, as grey text in the editor of the Complete pane. Tab accepts it; it goes
// as soon as the code changes. The server computes it once for all visitors.
santacoder.ghost = (() => {
  const editor = () => document.querySelector("#complete-editor");
  const viewOf = () => editor()?.querySelector(".cm-content")?.cmTile?.root?.view;
  let shown = null; // the element, its text, and the document it is shown with

  function draw(view, text) {
    const element = document.createElement("pre");
    element.className = "ghost";
    element.setAttribute("aria-hidden", "true"); // the editor has it as its description
    element.textContent = text.trimEnd();
    const key = document.createElement("button");
    key.type = "button";
    key.tabIndex = -1;
    key.textContent = matchMedia("(pointer: coarse)").matches ? "Accept" : "Tab";
    key.title = "Accept the suggestion";
    key.addEventListener("click", accept);
    element.append(key);
    if (!place(view, element)) return;
    editor().style.setProperty("--ghost", `${(text.trimEnd().split("\n").length - 1) * view.defaultLineHeight + 8}px`);
    editor().dataset.ghost = "";
    view.scrollDOM.append(element);
    view.contentDOM.setAttribute("aria-description", `Suggestion, Tab accepts it: ${text.trim()}`);
    shown = { element, text: text.trimEnd(), doc: view.state.doc };
  }

  // Puts the element after the code. False if the end of the code is not drawn, because it is out of sight.
  function place(view, element) {
    const scroller = view.scrollDOM;
    const { doc } = view.state;
    const [line, end] = [view.coordsAtPos(doc.lineAt(doc.length).from), view.coordsAtPos(doc.length)];
    if (!line || !end) return false;
    const frame = scroller.getBoundingClientRect();
    Object.assign(element.style, {
      left: `${line.left - frame.left + scroller.scrollLeft}px`,
      top: `${end.top - frame.top + scroller.scrollTop}px`,
      textIndent: `${end.left - line.left}px`,
      lineHeight: `${view.defaultLineHeight}px`,
    });
    return true;
  }

  function hide() {
    if (!shown) return;
    shown.element.remove();
    shown = null;
    delete editor().dataset.ghost;
    viewOf()?.contentDOM.removeAttribute("aria-description");
  }

  function accept() {
    const [view, { text, doc }] = [viewOf(), shown];
    hide();
    const end = doc.length + text.length;
    view.dispatch({ changes: { from: doc.length, insert: text }, selection: { anchor: end }, userEvent: "input" });
    view.focus();
    santacoder.say("Accepted. Begin the next line before you press Run: a small model repeats what is above.");
  }

  const isUntouched = () => !document.querySelector("#complete-status [data-written]");

  // Shows what the chosen revision writes after the code, if that is an example and nothing was written yet. The visitor's
  // own code is not sent: addresses are in the logs of proxies.
  async function suggest() {
    hide();
    const view = viewOf();
    if (!view || !isUntouched()) return;
    const { doc } = view.state;
    const code = doc.toString();
    if (!santacoder.examples.includes(code)) return;
    const [model, branch, commit] = santacoder.picker.chosen();
    const asked = new URLSearchParams({ model, revision: commit || branch, code });
    const answer = await fetch(`examples/answer?${asked}`).catch(() => null);
    if (answer?.status !== 200) return;
    const { text } = await answer.json();
    const isSame = viewOf() === view && view.state.doc.eq(doc) && `${santacoder.picker.chosen()}` === `${[model, branch, commit]}`;
    if (!shown && isSame && isUntouched() && view.contentDOM.offsetParent) draw(view, text);
  }

  new MutationObserver(() => {
    if (shown && (!viewOf()?.state.doc.eq(shown.doc) || !isUntouched())) hide();
  }).observe(document, { childList: true, characterData: true, subtree: true });
  addEventListener("click", ({ target }) => target.closest?.("#complete-run, #complete-retry") && hide(), true);
  addEventListener("resize", () => requestAnimationFrame(() => shown && place(viewOf(), shown.element)));
  addEventListener(
    "keydown",
    (event) => {
      const isPlain = !event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey;
      if (!shown || event.key !== "Tab" || !isPlain || !event.target.closest?.("#complete-editor")) return;
      event.preventDefault();
      event.stopPropagation();
      accept();
    },
    true,
  );

  return { suggest };
})();
