// Shows the commit that the slider selects: its frame of the replay, and its button on the curve.
const pane = element.closest("#branches");
const film = element.closest("#branches-film") ?? element;
let number = null;

const show = () => {
  for (const part of pane.querySelectorAll("[data-commit]")) {
    const isShown = number === null ? part.matches(":last-of-type") : Number(part.dataset.commit) === number;
    if (part.classList.contains("shown") !== isShown) part.classList.toggle("shown", isShown);
  }
};

// A table that is cut off at the right fades out there.
const fade = () => {
  for (const table of pane.querySelectorAll(".branch-table")) {
    const hasMore = table.scrollWidth - table.clientWidth - table.scrollLeft > 4;
    if (table.classList.contains("more") !== hasMore) table.classList.toggle("more", hasMore);
  }
};
pane.addEventListener("scroll", fade, true);
new ResizeObserver(fade).observe(pane);

film.addEventListener("commit", (event) => {
  number = Number(event.detail);
  show();
});

pane.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-commit]");
  const slider = pane.querySelector("#branches-commit input[type=range]");
  if (!button || !slider) return;
  slider.value = button.dataset.commit;
  slider.dispatchEvent(new Event("input", { bubbles: true }));
});

// Gradio redraws or patches the HTML without regard to the slider
new MutationObserver(() => (show(), fade())).observe(pane, { subtree: true, childList: true, attributeFilter: ["class"] });
show();
fade();
