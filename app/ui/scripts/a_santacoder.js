// Functions that the events of the page call.
window.santacoder = {
  // The line that announces sentences. It is there before its first text, because screen readers would miss that.
  said() {
    let line = document.querySelector("#said");
    if (!line) {
      line = document.createElement("p");
      line.id = "said";
      line.setAttribute("role", "status");
      document.body.append(line);
    }
    return line;
  },

  // Announce a sentence to screen readers, and show it for two seconds.
  say(sentence) {
    const line = this.said();
    line.textContent = sentence;
    line.classList.add("shown");
    clearTimeout(this.silence);
    this.silence = setTimeout(() => line.classList.remove("shown"), 2000);
  },

  // Copy a text, and say so. Returns whether it was possible.
  async copy(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      this.say("The browser blocked copying. Select the code and press Ctrl-C.");
      return false;
    }
    this.say("Copied.");
    return true;
  },

  download(text, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
    link.download = name;
    link.click();
    URL.revokeObjectURL(link.href);
    this.say(`Saved as ${name}.`);
  },

  // Have the request of a pane, or of the one in sight, written as code again if it is in sight.
  rewriteSnippet(...panes) {
    for (const pane of panes.length ? panes : ["complete", "infill"]) {
      if (document.querySelector(`#${pane}-snippet`)?.offsetParent) document.querySelector(`#${pane}-snippet-rewrite`).click();
    }
  },

  // The parameters with which the page begins: those that were kept, or those of the server. On a phone they are collapsed.
  firstParameters(given) {
    if (matchMedia("(max-width: 640px)").matches) document.querySelector("#parameters .label-wrap.open")?.click();
    this.parameters = this.kept("parameters") ?? given;
    return this.parameters;
  },

  changedParameters(values) {
    this.parameters = values;
    this.keep("parameters", values);
    this.rewriteSnippet();
  },

  // Keep the code and language of a pane, or the parameters, until the browser's tab is closed. Those of an opened share
  // are kept beside the visitor's own, which looking at a share leaves as they are.
  keep(pane, values) {
    const share = this.share();
    const [name, kept] = share ? ["share", { share, values }] : ["kept", values];
    try {
      sessionStorage.setItem(`santacoder.${name}.${pane}`, JSON.stringify(kept));
    } catch {
      // storage is disabled or full: a reload will show the example, or what was shared
    }
  },

  // The values that were kept, or null; a share shows its own.
  kept(pane) {
    return this.share() ? null : this.stored(`santacoder.kept.${pane}`);
  },

  // The code of the panes as it was when the page with a share was reloaded. Null where nothing was changed, and after
  // following a link: that shows what was shared.
  keptOfShare(...panes) {
    const isReloaded = performance.getEntriesByType("navigation")[0]?.type === "reload";
    return panes.map((pane) => {
      const kept = this.stored(`santacoder.share.${pane}`);
      return isReloaded && kept?.share === this.share() ? kept.values[0] : null;
    });
  },

  stored(name) {
    try {
      return JSON.parse(sessionStorage.getItem(name));
    } catch {
      return null; // storage is disabled, as in a frame of another site
    }
  },

  // The opened share that the address names, or null.
  share: () => new URLSearchParams(location.search).get("share"),
};
addEventListener("DOMContentLoaded", () => santacoder.said());
