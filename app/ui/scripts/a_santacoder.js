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

  async copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      this.say("Copied.");
    } catch {
      this.say("The browser blocked copying. Select the code and press Ctrl-C.");
    }
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

  changedParameters(values) {
    this.keep("parameters", values);
    this.rewriteSnippet();
  },

  // Collapse the parameters on a phone.
  collapseParameters() {
    if (matchMedia("(max-width: 640px)").matches) document.querySelector("#parameters .label-wrap.open")?.click();
  },

  // Keep the code and language of a pane, or the parameters, until the browser's tab is closed.
  keep(pane, values) {
    try {
      sessionStorage.setItem(`santacoder.kept.${pane}`, JSON.stringify(values));
    } catch {
      // storage is disabled or full: a reload will show the example
    }
  },

  // The values that were kept, or null; a share shows its own.
  kept(pane) {
    const isShare = new URLSearchParams(location.search).has("share");
    const values = isShare ? null : sessionStorage.getItem(`santacoder.kept.${pane}`);
    return values && JSON.parse(values);
  },
};
addEventListener("DOMContentLoaded", () => santacoder.said());
