// Show confidence: colours each written token in the editor by its probability, and opens the alternatives of a clicked
// one. Tokens and probabilities are those of the heat map below the editor.
santacoder.confidence = (() => {
  const NAME = "santacoder.confidence";
  const STEPS = 8;
  const paneOf = (editor) => editor.id.replace(/-editor$/, "");
  let isOn = true;
  try {
    isOn = localStorage.getItem(NAME) !== "off";
  } catch {
    // storage is disabled, as in a frame of another site: the choice lasts as long as the page
  }

  // The text of a token, without the signs for line breaks.
  const textOf = (token) =>
    [...token.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((node) => node.data).join("").replaceAll("\r", "");

  // Where each token of one text is, from its start (a line and a column from 0) to at most its end.
  function placesOf(map, [line, column, lastLine, lastColumn]) {
    const places = [];
    for (const token of map.querySelectorAll(".token")) {
      const begin = [line, column];
      const [first, ...others] = textOf(token).split("\n");
      line += others.length;
      column = others.length ? others.at(-1).length : column + first.length;
      const isOver = line > lastLine || (line === lastLine && column > lastColumn);
      if (isOver) [line, column] = [lastLine, lastColumn];
      if (begin[0] !== line || begin[1] !== column) places.push({ token, begin, end: [line, column] });
      if (isOver) break;
    }
    return places;
  }

  // The tokens in an editor that has a finished text, with their places.
  function tokensOf(editor) {
    const status = document.querySelector(`#${paneOf(editor)}-status [data-written]`);
    if (status?.dataset.running !== "false" || !status.dataset.written) return [];
    const maps = document.querySelectorAll(`#${paneOf(editor)}-tokens .tokens`);
    const texts = status.dataset.written.split(" ").map((place) => place.split(/[:-]/).map(Number));
    return [...maps].flatMap((map, index) => (texts[index] ? placesOf(map, texts[index]) : []));
  }

  // Ranges in the visible lines by step of colour; `rangesOf` finds those of places.
  function paint(editor, rangesOf, byHeat) {
    if (!isOn) return;
    const places = new Map();
    for (const { token, begin, end } of tokensOf(editor)) {
      const heat = Number(token.dataset.heat ?? 0);
      if (heat > 0) places.set(heat, [...(places.get(heat) ?? []), `${begin.join(":")}-${end.join(":")}`]);
    }
    for (const [heat, found] of places) (byHeat[heat] ??= []).push(...rangesOf(editor, found));
  }

  function set(byHeat) {
    for (let heat = 1; heat <= STEPS; heat += 1) {
      const [name, ranges] = [`heat-${heat}`, byHeat[heat] ?? []];
      if (!ranges.length) {
        CSS.highlights.delete(name); // nothing is drawn anew for it while text streams
        continue;
      }
      const highlight = new Highlight(...ranges);
      highlight.priority = 1; // over that of all written text
      CSS.highlights.set(name, highlight);
    }
  }

  function positionAt(view, { clientX: x, clientY: y }) {
    try {
      return view.posAtCoords({ x, y });
    } catch {
      return null; // the editor shows another text than it has, because that has just changed
    }
  }

  // The alternatives of the token under the pointer; the editor keeps the focus.
  function clicked(event) {
    const editor = event.target.closest?.(".cm-content")?.closest(".code-editor");
    if (!editor || !isOn) return;
    const view = editor.querySelector(".cm-content").cmTile?.root?.view;
    const position = view && positionAt(view, event);
    if (position == null || !view.state.selection.main.empty) return;
    const line = view.state.doc.lineAt(position);
    const [row, column] = [line.number - 1, position - line.from];
    const isBefore = ([first, second], [third, fourth]) => first < third || (first === third && second <= fourth);
    const isIn = ({ begin, end }) => isBefore(begin, [row, column]) && !isBefore(end, [row, column]);
    const found = tokensOf(editor).find(isIn);
    if (!found) return;
    const at = new DOMRect(event.clientX - 8, event.clientY - 10, 16, 20);
    santacoder.tokens.open(found.token, { at, editor: editor.querySelector(".cm-content") });
  }

  const showLegends = () => (document.documentElement.dataset.confidence = isOn ? "on" : "off");
  const check = () => document.querySelectorAll(".show-confidence").forEach((box) => (box.checked = isOn));

  document.addEventListener("click", clicked);
  document.addEventListener("change", ({ target }) => {
    if (!target.matches?.(".show-confidence")) return;
    isOn = target.checked;
    showLegends();
    check();
    santacoder.repaint?.();
    try {
      localStorage.setItem(NAME, isOn ? "on" : "off");
    } catch {
      // as above
    }
  });

  showLegends();
  // a pane is drawn when it is opened, and drawn again, each time with the box as the server has it
  new MutationObserver(check).observe(document, { childList: true, subtree: true });

  return { paint, set };
})();
