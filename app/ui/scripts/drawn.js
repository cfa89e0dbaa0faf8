// Gradio draws its components one after the other, in the order in which their scripts arrive. The page is shown when
// what a visitor sees first is complete, so that nothing moves (`home_page.py` has the style).
(() => {
  const PARTS = ["#title h1", "#pill", "#complete-run", "#complete-editor .cm-content", "#parameters .label-wrap"];
  const isDrawn = () => PARTS.every((part) => document.querySelector(part));
  const show = () => requestAnimationFrame(() => (document.documentElement.dataset.drawn = ""));

  const observer = new MutationObserver(() => {
    if (!isDrawn()) return;
    observer.disconnect();
    show();
  });
  observer.observe(document, { childList: true, subtree: true });
})();
