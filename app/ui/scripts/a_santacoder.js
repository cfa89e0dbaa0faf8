// What the page's buttons call.
window.santacoder = {
  // Tells a screen reader, and for a moment everybody.
  say(sentence) {
    let line = document.querySelector("#said");
    if (!line) {
      line = document.createElement("p");
      line.id = "said";
      line.setAttribute("role", "status");
      document.body.append(line);
    }
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

  // On a phone, the parameters begin collapsed.
  collapseParameters() {
    if (matchMedia("(max-width: 640px)").matches) document.querySelector("#parameters .label-wrap.open")?.click();
  },

  // Code and language of a pane, or the parameters, for as long as the browser's tab is open.
  keep(pane, values) {
    try {
      sessionStorage.setItem(`santacoder.kept.${pane}`, JSON.stringify(values));
    } catch {
      // no storage, or no room in it: a reload then shows the example
    }
  },

  // What was kept; nothing where the address names a share.
  kept(pane) {
    const isShare = new URLSearchParams(location.search).has("share");
    const values = isShare ? null : sessionStorage.getItem(`santacoder.kept.${pane}`);
    return values && JSON.parse(values);
  },
};
