// The address names the pane and the revision, so that links open them and Back returns to them. An opened share has
// an address of its own, which stays.
santacoder.address = (() => {
  let isFollowing = false;
  let titles = {};

  function changed(values) {
    const parameters = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(values)) {
      if (value) parameters.set(name, value);
      else parameters.delete(name);
    }
    const search = parameters.size ? `?${parameters}` : "";
    return search === location.search || parameters.has("share") ? null : `${location.pathname}${search}`;
  }

  const paneOf = () => new URLSearchParams(location.search).get("pane") ?? "complete";

  // On a narrow screen, some of the tabs are in a menu, where they have no id.
  function show(name) {
    const buttons = [...document.querySelectorAll("#panes > .tab-wrapper button")];
    const ofPane = buttons.filter((button) => button.textContent.trim() === titles[name]);
    ofPane.find((button) => !button.closest("[aria-hidden=true]"))?.click();
  }

  addEventListener("popstate", () => show(paneOf()));

  return {
    // Opens the pane that the address names, and keeps the address up to date from then on. `given` are the titles of
    // all panes.
    follow(given) {
      titles = given;
      if (paneOf() !== "complete") show(paneOf());
      isFollowing = true;
    },

    pane(name) {
      document.body.dataset.pane = name;
      const address = isFollowing && name !== paneOf() && changed({ pane: name === "complete" ? "" : name });
      if (address) history.pushState(null, "", address);
    },

    revision(model, branch, commit) {
      const address = isFollowing && changed({ model, branch, commit });
      if (address) history.replaceState(null, "", address);
    },
  };
})();
