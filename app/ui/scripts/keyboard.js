// Keyboard shortcuts: Ctrl-Enter or ⌘-Enter presses Run in the visible pane, or Stop while it is running; Alt-[ and
// Alt-] show another candidate; Escape leaves the editor, in which Tab indents.
document.addEventListener(
  "keydown",
  (event) => {
    const press = (selector) => {
      const shown = (button) => button.offsetParent !== null && !button.disabled;
      const button = [...document.querySelectorAll(selector)].find(shown);
      if (!button) return;
      // before the editor handles it and inserts a line
      event.preventDefault();
      event.stopPropagation();
      button.click();
    };
    // with Option, or with Ctrl and Alt, these keys type brackets on some keyboards
    const isBracket = "[]{}".includes(event.key) && (event.ctrlKey || /Mac/.test(navigator.platform));
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) press("button.run, button.stop");
    else if (event.altKey && !isBracket && event.code === "BracketLeft") press("button.earlier");
    else if (event.altKey && !isBracket && event.code === "BracketRight") press("button.later");
    else if (event.key === "Escape" && event.target.closest(".cm-content")) {
      const pane = event.target.closest("[role=tabpanel]");
      pane?.querySelector("button.run:not([disabled]), button.stop:not([disabled])")?.focus();
    }
  },
  true,
);
