// Colours generated code and underlines copies in the visible lines of the editor, with the CSS Custom Highlight API, which does not change the
// editor's contents. Browsers without it show plain code.
(() => {
  if (!("highlights" in CSS)) return;

  // The visible lines by number, from 0. The gutter has an additional invisible element, which keeps its width.
  function drawnLines(editor) {
    const numbers = [...editor.querySelectorAll(".cm-lineNumbers .cm-gutterElement")].filter(
      (element) => element.style.visibility !== "hidden",
    );
    const lines = editor.querySelectorAll(".cm-content > .cm-line");
    return new Map(numbers.map((element, index) => [Number(element.textContent) - 1, lines[index]]));
  }

  // The text node, and the offset in it, of a column in a line.
  function point(line, column) {
    const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const length = walker.currentNode.length;
      if (column <= length) return [walker.currentNode, column];
      column -= length;
    }
    return [line, line.childNodes.length];
  }

  function rangesOf(editor, places) {
    const lines = drawnLines(editor);
    const ranges = [];
    for (const place of places) {
      const [first, from, last, to] = place.split(/[:-]/).map(Number);
      for (const [number, line] of lines) {
        if (!line || number < first || number > last) continue;
        const range = new Range();
        range.setStart(...point(line, number === first ? from : 0));
        range.setEnd(...point(line, number === last ? to : Infinity));
        ranges.push(range);
      }
    }
    return ranges;
  }

  // The ids of an editor, its status and its badge have the same prefix.
  const below = (editor, part) => document.querySelector(`#${editor.id.replace(/-editor$/, part)}`);
  const statusOf = (editor) => below(editor, "-status [data-written]");
  const badgeOf = (editor) => below(editor, "-origin-badge [data-copied]");

  function paint() {
    const written = [];
    const copied = [];
    const byHeat = {};
    for (const editor of document.querySelectorAll(".code-editor")) {
      if (!editor.offsetParent) continue;
      const badge = badgeOf(editor);
      if (badge) copied.push(...rangesOf(editor, badge.dataset.copied.split(" ")));
      const status = statusOf(editor);
      if (!status?.dataset.written) continue;
      written.push(...rangesOf(editor, status.dataset.written.split(" ")));
      santacoder.confidence.paint(editor, rangesOf, byHeat);
      follow(editor, status);
    }
    CSS.highlights.set("written", new Highlight(...written));
    CSS.highlights.set("copied", new Highlight(...copied));
    santacoder.confidence.set(byHeat);
  }

  // Keeps the end of the editor visible while code is generated there.
  function follow(editor, status) {
    const scroller = editor.querySelector(".cm-scroller");
    if (status.dataset.running === "true" && editor.id === "complete-editor") scroller.scrollTop = scroller.scrollHeight;
  }

  // After the next frame, so that a press is answered before all text is coloured again.
  let waiting = false;
  const soon = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() =>
      setTimeout(() => {
        waiting = false;
        paint();
      }),
    );
  };
  santacoder.repaint = soon;
  const elementOf = (node) => (node instanceof Element ? node : node.parentElement);
  new MutationObserver((records) => {
    if (records.some(({ target }) => elementOf(target)?.closest(".code-editor, .status-lines, .origin-badge, .token-map"))) soon();
  }).observe(document, { childList: true, characterData: true, subtree: true, attributeFilter: ["data-written", "data-copied", "style"] });
})();
