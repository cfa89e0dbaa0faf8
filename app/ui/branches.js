// Of the commits of a branch, shows the one that the slider is at: its frame of the film, its button on the curve.
const pane = element.closest("#branches");
const film = element.closest("#branches-film") ?? element;
let number = null;

const show = () => {
  for (const part of pane.querySelectorAll("[data-commit]")) {
    const isShown = number === null ? part.matches(":last-of-type") : Number(part.dataset.commit) === number;
    if (part.classList.contains("shown") !== isShown) part.classList.toggle("shown", isShown);
  }
};

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

// what Gradio draws anew, or patches, knows nothing of the slider
new MutationObserver(show).observe(pane, { subtree: true, childList: true, attributeFilter: ["class"] });
show();
