// Ctrl-Enter or ⌘-Enter presses Run in the pane that is shown, or Stop while that is running.
document.addEventListener(
  "keydown",
  (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    const shown = (button) => button.offsetParent !== null && !button.disabled;
    const button = [...document.querySelectorAll("button.run, button.stop")].find(shown);
    if (!button) return;
    // before the editor sees it, which would insert a line
    event.preventDefault();
    event.stopPropagation();
    button.click();
  },
  true,
);

// While code is being written at the end of the editor, the end stays in view.
new MutationObserver(() => {
  const running = document.querySelector("#complete-stop:not([disabled])");
  const scroller = running && document.querySelector("#complete-editor .cm-scroller");
  if (scroller) scroller.scrollTop = scroller.scrollHeight;
}).observe(document, { childList: true, characterData: true, subtree: true });
