// What Compare and Replay write begins below most windows: a press brings it into sight, with the button.
(() => {
  const RESULTS = { "compare-run": "#compare-columns", "branches-run": "#branches-film" };
  document.addEventListener("click", ({ target }) => {
    const selector = RESULTS[target.closest?.("button")?.id];
    const results = selector && document.querySelector(selector);
    if (results?.getBoundingClientRect().top > innerHeight / 2) results.scrollIntoView({ block: "center" });
  });
})();
