// Shows the alternatives of a clicked token, and moves between tokens with the arrow keys. In maps with selectable
// alternatives, a choice triggers the event `alternative`.
(() => {
  let anchor, anchored; // what the open alternatives stand beside, and where it was then

  function popover() {
    let box = document.querySelector("#alternatives");
    if (!box) {
      box = document.createElement("div");
      box.id = "alternatives";
      box.popover = "auto";
      box.setAttribute("role", "dialog");
      document.body.append(box);
    }
    return box;
  }

  function element(tag, className, text = "") {
    const made = document.createElement(tag);
    made.className = className;
    made.textContent = text;
    return made;
  }

  // A token as a string literal, so that spaces and line breaks are visible.
  const quoted = (text) => JSON.stringify(text).slice(1, -1).replaceAll(`\\"`, `"`).replaceAll(" ", "·") || "∅";

  function row([text, share, said], choose) {
    const line = element(choose ? "button" : "div", "alternative");
    if (choose) {
      line.type = "button";
      line.title = "Continue from this token";
      line.addEventListener("click", choose);
    }
    const bar = element("span", "bar");
    bar.style.width = `${Math.max(share * 100, 1)}%`;
    line.append(bar, element("code", "", quoted(text)), element("span", "share", said));
    return line;
  }

  // `shown` is where else the token is seen: a rectangle `at` in the window, in an `editor` that keeps the focus.
  // Without it, the token itself takes the focus back.
  function open(token, shown) {
    const box = popover();
    const map = token.closest(".token-map");
    const canChoose = map?.dataset.choose === "true";
    const gap = [...(map?.querySelectorAll(".tokens") ?? [])].indexOf(token.closest(".tokens"));
    const rows = JSON.parse(token.dataset.top ?? "[]").map((alternative, index) =>
      row(alternative, canChoose && (() => {
        box.hidePopover();
        const detail = { gap, token: Number(token.dataset.token), alternative: index };
        map.dispatchEvent(new CustomEvent("alternative", { detail }));
      })),
    );
    const heading = element("p", "heading");
    heading.append(element("code", "", quoted(token.textContent.replaceAll("↵", ""))));
    heading.append(token.dataset.probability ? `: ${token.dataset.probability}` : " is the first token: nothing comes before it");
    box.setAttribute("aria-label", "Alternatives of this token");
    box.replaceChildren(heading, ...rows);
    if (canChoose && rows.length) box.append(element("p", "hint", "Choose one to continue from it."));
    box.showPopover();
    const place = shown?.at ?? token.getClientRects()[0];
    const left = Math.min(place.left, innerWidth - box.offsetWidth - 8);
    const below = place.bottom + 6 + box.offsetHeight <= innerHeight;
    box.style.left = `${Math.max(8, left)}px`;
    box.style.top = `${below ? place.bottom + 6 : Math.max(8, place.top - box.offsetHeight - 6)}px`;
    anchor = shown?.editor ?? token;
    anchored = anchor.getBoundingClientRect();
    box.ontoggle = null;
    if (shown) return;
    box.querySelector("button")?.focus();
    box.ontoggle = (event) => event.newState === "closed" && token.focus({ preventScroll: true });
  }

  function step(token, key) {
    const tokens = [...token.closest(".tokens").querySelectorAll(".token")];
    const index = tokens.indexOf(token);
    const goals = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: tokens.length - 1 };
    const goal = tokens[goals[key]];
    if (!goal) return false;
    token.tabIndex = -1;
    goal.tabIndex = 0;
    goal.focus();
    return true;
  }

  santacoder.tokens = { open };
  const close = ({ target }) => {
    const box = document.querySelector("#alternatives:popover-open");
    if (!box?.contains(target)) box?.hidePopover();
  };
  document.addEventListener("beforeinput", close);
  // a scroll from before the click may be reported after it, so what counts is whether the token has moved
  const follow = (event) => {
    const now = anchor?.getBoundingClientRect();
    if (now && Math.abs(now.top - anchored.top) + Math.abs(now.left - anchored.left) > 2) close(event);
  };
  document.addEventListener("scroll", follow, { capture: true, passive: true });
  document.addEventListener("click", (event) => {
    const token = event.target.closest?.(".tokens .token");
    if (token) open(token);
  });
  // Whether a key is a shortcut of the page, which may replace the text; in the alternatives, other keys are for them.
  const isForPage = ({ key, ctrlKey, metaKey, altKey }) => altKey || (key === "Enter" && (ctrlKey || metaKey));
  // a key moves the caret away from the token, or changes the text without input, as undo does
  const leave = (event) => {
    if (["Alt", "Control", "Meta", "Shift"].includes(event.key)) return;
    if (isForPage(event)) document.querySelector("#alternatives:popover-open")?.hidePopover();
    else if (!event.target.closest?.(".tokens .token")) close(event);
  };
  addEventListener("keydown", leave, true); // before the shortcuts, which keep others from seeing their keys
  document.addEventListener("keydown", (event) => {
    const token = event.target.closest?.(".tokens .token");
    if (!token) return;
    if (event.key === "Enter" || event.key === " ") open(token);
    else if (!step(token, event.key)) return;
    event.preventDefault();
  });
})();
