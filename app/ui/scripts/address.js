// The address names the pane and the revision, so that links open them and Back returns to them. An opened share has
// an address of its own, which stays.
santacoder.address = (() => {
  const MILLISECONDS = 150; // what one press changes is one entry of the history
  let isFollowing = false;
  let titles = {};
  let own = []; // the revision of an address that names none
  let changes = {};
  let waiting = 0;
  let expected = null; // the revision that Back returns to, until it is chosen, and how long that may take
  const LONGEST = 5000;
  // Back leaves what was chosen while the picker was open, and does not step through the presses: all of them are one entry
  let picking = 0; // the number of times that the picker was opened
  let pressed = 0; // the time to which the next change belongs
  let entry = 0; // the time that the current entry of the history is from

  const parameters = () => new URLSearchParams(location.search);
  const paneOf = () => parameters().get("pane") ?? "complete";
  const nameOf = (pane) => (pane === "complete" ? "" : pane); // in the address

  function revisionOf() {
    const [model, branch, commit] = ["model", "branch", "commit"].map((name) => parameters().get(name) ?? "");
    return model ? [model, branch || "main", commit] : own;
  }

  // The query of the address with other values; what is empty is not named.
  function queryWith(changed) {
    const named = parameters();
    for (const [name, value] of Object.entries(changed)) {
      if (value) named.set(name, value);
      else named.delete(name);
    }
    return named.size ? `?${named}` : "";
  }

  function write() {
    const search = queryWith(changes);
    changes = {};
    if (search === location.search || santacoder.share()) return;
    const method = pressed && pressed === entry ? "replaceState" : "pushState";
    history[method](null, "", `${location.pathname}${search}`);
    entry = pressed;
  }

  function note(changed) {
    if (!isFollowing) return;
    Object.assign(changes, changed);
    clearTimeout(waiting);
    waiting = setTimeout(write, MILLISECONDS);
  }

  // On a narrow screen, some of the tabs are in a menu, where they have no id.
  function show(name) {
    const buttons = [...document.querySelectorAll("#panes > .tab-wrapper button")];
    const ofPane = buttons.filter((button) => button.textContent.trim() === titles[name]);
    ofPane.find((button) => !button.closest("[aria-hidden=true]"))?.click();
  }

  addEventListener("popstate", () => {
    if (!isFollowing) return;
    clearTimeout(waiting);
    changes = {};
    pressed = entry = 0;
    show(paneOf());
    expected = { revision: `${revisionOf()}`, until: performance.now() + LONGEST };
    santacoder.picker.choose(...revisionOf());
  });

  return {
    // Opens the pane that the address names, and keeps the address up to date from then on. `given` are the titles of
    // all panes.
    follow(given) {
      titles = given;
      own = santacoder.picker.chosen();
      if (paneOf() !== "complete") show(paneOf());
      isFollowing = true;
    },

    pane(name) {
      document.body.dataset.pane = name;
      pressed = 0;
      note({ pane: nameOf(name) });
    },

    // The address of an opened share becomes that of what it shows.
    leaveShare() {
      const chosen = santacoder.picker.chosen();
      const [model, branch, commit] = chosen;
      const revision = `${chosen}` === `${own}` ? {} : { model, branch, commit };
      const search = queryWith({ share: "", pane: nameOf(document.body.dataset.pane), ...revision });
      history.replaceState(null, "", `${location.pathname}${search}`);
    },

    beginPicking() {
      picking += 1;
    },

    // A choice in the picker.
    picks() {
      pressed = picking;
    },

    revision(model, branch, commit) {
      const revision = `${[model, branch, commit]}`;
      const isOnTheWay = expected && expected.revision !== revision && performance.now() < expected.until;
      if (isOnTheWay) return;
      expected = null;
      if (revision !== `${revisionOf()}`) note({ model, branch, commit });
      else ["model", "branch", "commit"].forEach((name) => delete changes[name]);
    },
  };
})();
