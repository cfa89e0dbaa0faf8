// The history of generations, kept only in this browser's storage: a list for each pane, newest first.
santacoder.history = (() => {
  const KEPT = 30;
  const PANES = ["complete", "infill"];
  const nameOf = (pane) => `santacoder.history.${pane}`;
  const followers = {}; // the list of each pane, once its tab has been opened
  const triggers = {}; // of each pane's recorder: `select` shows a generation in the pane

  function read(pane) {
    try {
      return JSON.parse(localStorage.getItem(nameOf(pane))) ?? [];
    } catch {
      return [];
    }
  }

  // Deletes the oldest entries of all panes if the browser's storage is full.
  function write(pane, entries) {
    const lists = { ...Object.fromEntries(PANES.map((each) => [each, read(each)])), [pane]: [...entries] };
    for (;;) {
      try {
        return localStorage.setItem(nameOf(pane), JSON.stringify(lists[pane]));
      } catch {
        const timeOf = (each) => lists[each].at(-1).time;
        const [oldest] = PANES.filter((each) => lists[each].length).sort((first, second) => timeOf(first) - timeOf(second));
        if (!oldest) return; // no storage at all, as in some private windows
        lists[oldest].pop();
        if (oldest !== pane) localStorage.setItem(nameOf(oldest), JSON.stringify(lists[oldest]));
      }
    }
  }

  // Alternatives are not kept: there are many, and running again gives them.
  function compact(text) {
    return JSON.stringify(JSON.parse(text), (key, value) => (key === "top" ? [] : value));
  }

  function line(pane, entry) {
    const generation = JSON.parse(entry.generation);
    const code = generation.parts.join(" … ").trim().split("\n");
    const written = generation.candidates[0].completions.map((completion) => completion.text).join(" … ").trim();
    const button = document.createElement("button");
    button.type = "button";
    for (const [name, text] of [
      ["when", new Date(entry.time).toLocaleString([], { dateStyle: "short", timeStyle: "short" })],
      ["from", code[code.length - 1]],
      ["what", written.split("\n")[0]],
      ["by", `${generation.repo_id.split("/").pop()}@${generation.revision.slice(0, 12)}`],
    ]) {
      const part = document.createElement("span");
      part.className = name;
      part.textContent = text;
      button.append(part);
    }
    button.addEventListener("click", () => restore(pane, entry.generation));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }

  function show(pane) {
    const element = followers[pane];
    if (!element) return;
    const entries = read(pane);
    element.querySelector(".empty").hidden = entries.length > 0;
    element.querySelector(".history-list").replaceChildren(...entries.map((entry) => line(pane, entry)));
    element.querySelector(".history-clear").hidden = entries.length === 0;
  }

  function follow(element, pane) {
    followers[pane] = element;
    element.querySelector(".history-clear").addEventListener("click", () => {
      write(pane, []);
      show(pane);
    });
    show(pane);
  }

  // One that is shown again becomes the newest.
  function add(pane, text) {
    const generation = compact(text);
    const others = read(pane).filter((entry) => entry.generation !== generation);
    write(pane, [{ time: Date.now(), generation }, ...others].slice(0, KEPT));
    PANES.forEach(show);
  }

  const record = (pane, trigger) => (triggers[pane] = trigger);
  const restore = (pane, generation) => triggers[pane]("select", { generation });

  return { follow, record, add, restore };
})();
