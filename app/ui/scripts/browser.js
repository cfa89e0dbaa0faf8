// Run in this browser: the site of `export.site`, which the server has at browser/ if it was given one. Its links take the
// code and the parameters along, in their fragment. When the server is gone, the bar that says so has such a link.
santacoder.browser = (() => {
  const KEPT = "santacoder-models"; // the site's cache
  const TOO_LONG = "The code is too long for a link. Copy it, and paste it there.";
  // in the order in which the page keeps them
  const PARAMETERS = ["n", "max_new_tokens", "temperature", "top_p", "top_k", "repetition_penalty", "seed", "stop", "stop_at", "stop_repetition"];
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
    const link = linkTo("Run in this browser");
    link.id = "run-in-browser";
    document.querySelector("#picker-done").before(link);
    show(...santacoder.picker.chosen());
  }

  function show(...revision) {
    const link = document.querySelector("#run-in-browser");
    if (link) link.hidden = !entryOf(revision);
  }

  // A link with the code of the moment at which it is used.
  function linkTo(text) {
    const link = document.createElement("a");
    link.href = site.base;
    link.textContent = text;
    const update = async () => {
      const entry = entryOf(santacoder.picker.chosen());
      const address = entry && (await addressOf(entry));
      link.href = address || site.base;
      return address;
    };
    // for another tab
    update();
    link.addEventListener("pointerenter", update);
    link.addEventListener("focus", update);
    link.addEventListener("click", async (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      const address = await update();
      if (address) location.assign(address);
      else santacoder.say(TOO_LONG);
    });
    return link;
  }

  // Null if the code is too long.
  async function addressOf(entry) {
    const pane = document.body.dataset.pane === "infill" ? "infill" : "complete";
    const content = document.querySelector(`#${pane}-editor .cm-content`);
    const code = content?.cmTile?.root?.view?.state.doc.toString() ?? "";
    const language = document.querySelector(`#${pane}-language input:checked`)?.value;
    const { stop_repetition, ...parameters } = Object.fromEntries(PARAMETERS.map((name, index) => [name, santacoder.parameters[index]]));
    const fragment = await site.toFragment({ pane, model: entry.name, language, code, parameters, stop_repetition });
    return fragment && `${site.base}#${fragment}`;
  }

  return {
    begin,
    show,

    // A link at which the chosen revision goes on without the server, if this browser has its files.
    async offline() {
      const entry = entryOf(santacoder.picker.chosen());
      if (!entry || !("caches" in window)) return null;
      const cache = await caches.open(KEPT);
      const kept = await Promise.all(entry.files.map(({ url }) => cache.match(new URL(url, site.base), { ignoreVary: true })));
      return kept.every(Boolean) ? linkTo("Continue in this browser") : null;
    },
  };
})();
