// The pill in the header, and the picker of models, branches and commits that it opens.
santacoder.picker = (() => {
  const box = () => document.querySelector("#picker");
  const lists = () => document.querySelector("#picker-lists");
  let trigger; // of the component with the lists: `click` when the picker opens, `select` for a choice
  let pressed = ""; // the choice that has the focus, to be focused again when the lists are drawn anew
  let entered = ""; // the name in the model's field when it got the focus, or that was last entered there
  let isWaiting = false; // for the first choices, of which one is focused

  const keyOf = ({ kind, value }) => `${kind} ${value}`;
  const choices = () => [...lists().querySelectorAll(".choice")];

  function focusChoice() {
    const has = (choice) => keyOf(choice.dataset) === pressed;
    const choice = choices().find(has) ?? lists().querySelector(".choice[aria-pressed=true]");
    choice?.focus({ preventScroll: true });
    return Boolean(choice);
  }

  // The commit on the curve that is chosen, and the focus.
  function drawn() {
    const commit = lists().querySelector("[data-kind=commit][aria-pressed=true]")?.dataset.number;
    for (const point of lists().querySelectorAll(".commit")) {
      const isShown = point.dataset.commit === commit;
      if (point.classList.contains("shown") !== isShown) point.classList.toggle("shown", isShown);
    }
    const isLost = isWaiting || [document.body, box(), null].includes(document.activeElement);
    if (box().matches(":popover-open") && isLost) isWaiting = !focusChoice();
  }

  addEventListener("focusin", ({ target }) => {
    if (target.matches?.("#model input")) entered = target.value;
  });

  function pick(button) {
    pressed = keyOf(button.dataset);
    santacoder.address.picks();
    const { kind, value } = button.dataset;
    trigger("select", { kind, value });
  }

  // The message of `copy` is below the picker.
  async function copyCitation(button) {
    const isCopied = await santacoder.copy(lists().querySelector(".citation").textContent);
    button.textContent = isCopied ? "Copied" : "The browser blocked copying";
  }

  function clicked({ target }) {
    const choice = target.closest(".choice");
    const point = target.closest(".commit");
    if (target.closest(".copy-citation")) copyCitation(target);
    if (choice) pick(choice);
    else if (point) pick(lists().querySelector(`[data-number="${point.dataset.commit}"]`));
  }

  // Shows the fields in which a name can be typed, or hides them.
  function type({ currentTarget }) {
    const isShown = "typing" in box().dataset;
    currentTarget.setAttribute("aria-expanded", !isShown);
    if (isShown) delete box().dataset.typing;
    else box().dataset.typing = "";
  }

  const picker = {
    follow(given) {
      trigger = given;
    },

    // Chooses a revision, unless it is chosen.
    choose(model, branch, commit) {
      if (box().matches(":popover-open")) box().hidePopover();
      if (`${[model, branch, commit]}` !== `${picker.chosen()}`) trigger("select", { kind: "revision", value: model, branch, commit });
    },

    // Until the menus are filled, the pill cannot be pressed.
    enable(...revision) {
      const pill = document.querySelector("#pill");
      if (!pill.disabled) return;
      box().popover = "auto";
      box().setAttribute("role", "dialog");
      box().setAttribute("aria-label", "Choose a model, branch and commit");
      box().addEventListener("toggle", ({ newState }) => {
        pressed = "";
        if (newState !== "open") return;
        santacoder.address.beginPicking();
        isWaiting = !focusChoice();
        trigger("click");
      });
      lists().addEventListener("click", clicked);
      // what opens at the end of the picker is brought into sight; `toggle` does not bubble
      lists().addEventListener("toggle", ({ target }) => target.open && target.scrollIntoView(), true);
      box().querySelector("#picker-done").addEventListener("click", () => box().hidePopover());
      box().querySelector("#picker-type").addEventListener("click", type);
      // Gradio replaces or patches the lists
      const attributeFilter = ["class", "aria-pressed", "data-number"];
      new MutationObserver(drawn).observe(lists(), { childList: true, subtree: true, attributeFilter });
      pill.disabled = false;
      document.documentElement.dataset.ready = "";
      picker.name(...revision);
      santacoder.browser.begin().catch(() => {}); // the page is complete without it
    },

    // The name in the model's field, and the one before.
    entered(model) {
      const before = entered;
      entered = model;
      return [model, before];
    },

    // Model, branch and commit; the commit is empty for the newest.
    chosen() {
      const { model, branch, commit } = document.querySelector("#pill").dataset;
      return [model, branch, commit];
    },

    name(model, branch, commit) {
      const [first, second, third] = document.querySelectorAll("#pill > :is(b, span:not([class]))");
      first.textContent = model.split("/").pop();
      second.textContent = branch;
      third.textContent = commit ? commit.slice(0, 8) : "latest";
      const pill = document.querySelector("#pill");
      Object.assign(pill.dataset, { model, branch, commit });
      pill.title = `${model}@${commit || branch}`;
      if (!pill.disabled) santacoder.ghost.suggest();
      santacoder.address.revision(model, branch, commit);
      santacoder.browser.show(model, branch, commit);
      santacoder.rewriteSnippet();
    },
  };
  return picker;
})();
