// Run in this browser: the site of `export.site`, which the server has at browser/ if it was given one. The link takes the
// code and the parameters along, in its fragment. When the server is gone, the bar that says so has the same link.
santacoder.browser = (() => {
  const KEPT = "santacoder-models"; // the site's cache
  let site; // its revisions, and the function that makes permalinks

  const entryOf = ([model, branch, commit]) =>
    site?.revisions.find((one) => one.name === `${model}@${branch}` && (!commit || one.commit === commit));

  async function begin() {
    if (!("browserSite" in document.querySelector("#pill").dataset)) return;
    const base = new URL("browser/", document.baseURI);
    const [revisions, { toFragment }] = await Promise.all([
      fetch(new URL("models.json", base)).then((response) => response.json()),
      import(new URL("permalink.js", base)),
    ]);
    site = { base, revisions, toFragment };
    const link = document.createElement("a");
    link.id = "run-in-browser";
    link.href = base;
    link.textContent = "Run in this browser";
    document.querySelector("#picker-done").before(link);
    // for another tab; a click goes to the address of that moment
    link.addEventListener("pointerenter", async () => (link.href = await addressOf(entryOf(santacoder.picker.chosen()))));
    link.addEventListener("click", async (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      location.assign(await addressOf(entryOf(santacoder.picker.chosen())));
    });
    show(...santacoder.picker.chosen());
  }

  function show(...revision) {
    const link = document.querySelector("#run-in-browser");
    if (link) link.hidden = !entryOf(revision);
  }

  async function addressOf(entry) {
    const pane = document.body.dataset.pane === "infill" ? "infill" : "complete";
    const content = document.querySelector(`#${pane}-editor .cm-content`);
    const code = content?.cmTile?.root?.view?.state.doc.toString() ?? "";
    const language = document.querySelector(`#${pane}-language input:checked`)?.value;
    const fragment = await site.toFragment({ pane, model: entry.name, language, code });
    return `${site.base}#${fragment}`;
  }

  return {
    begin,
    show,

    // The address at which the chosen revision goes on without the server, if this browser has its files.
    async offline() {
      const entry = entryOf(santacoder.picker.chosen());
      if (!entry || !("caches" in window)) return null;
      const cache = await caches.open(KEPT);
      const kept = await Promise.all(entry.files.map(({ url }) => cache.match(new URL(url, site.base), { ignoreVary: true })));
      return kept.every(Boolean) ? addressOf(entry) : null;
    },
  };
})();
