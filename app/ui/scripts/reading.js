// Accessibility of Gradio's editors, buttons and menus: colours with too little contrast are replaced wherever the editor's
// style sheet uses them, code can be focused and scrolled with the keyboard, code that is still empty has the role that its name
// needs, buttons with a sign have a name, and an empty menu of examples says what it is.
(() => {
  // colours of the editor's light theme, and darker ones with a contrast of 5 and more on white
  const DARKER = {
    "rgb(94, 129, 172)": "#3d6396",
    "rgb(208, 135, 112)": "#a34a2c",
    "rgb(235, 203, 139)": "#8a6100",
    "rgb(163, 190, 140)": "#4d7034",
    "rgb(143, 188, 187)": "#2c7573",
    "rgb(136, 192, 208)": "#2a7186",
    "rgb(129, 161, 193)": "#45688f",
    "rgb(180, 142, 173)": "#8a5480",
    "rgb(191, 97, 106)": "#a63f49",
    // dark enough; it takes precedence if an element has several
    "rgb(76, 86, 106)": "#4c566a",
  };
  // the dark theme's colour of comments, and one with a contrast of 5 and more
  const LIGHTER = { "rgb(128, 128, 128)": "#9a9a9a", grey: "#9a9a9a", gray: "#9a9a9a" };
  const NAMES = { "button.earlier": "Previous candidate", "button.later": "Next candidate" };
  const sheet = document.createElement("style");

  function recoloured(theme, rule, colours) {
    const colour = colours[rule.style?.color];
    return colour ? [`${theme} ${rule.selectorText} { color: ${colour}; }`] : [];
  }

  function recolour() {
    const rules = [...document.styleSheets]
      .filter((each) => each.ownerNode !== sheet && each.ownerNode?.textContent.includes("\u037c"))
      .flatMap((each) => [...each.cssRules])
      .flatMap((rule) => [
        ...recoloured("body:not(.dark)", rule, DARKER),
        ...recoloured("body.dark", rule, LIGHTER),
      ]);
    const text = rules.join("\n");
    if (sheet.textContent !== text) sheet.textContent = text;
    if (!sheet.isConnected) document.head.append(sheet);
  }

  let known = 0;
  function look() {
    const contents = document.querySelectorAll(".cm-content:not([tabindex])");
    contents.forEach((content) => (content.tabIndex = 0));
    // only elements with a role can have a name
    document.querySelectorAll("div.empty[aria-label]:not([role])").forEach((code) => code.setAttribute("role", "img"));
    for (const [selector, name] of Object.entries(NAMES)) {
      document.querySelectorAll(`${selector}:not([aria-label])`).forEach((button) => (button.ariaLabel = name));
    }
    document.querySelectorAll(".preset input").forEach((menu) => (menu.placeholder = "Choose an example"));
    const others = [...document.querySelectorAll("style")].filter((style) => style !== sheet);
    const length = others.reduce((sum, style) => sum + style.textContent.length, 0);
    if (length !== known) recolour();
    known = length;
  }

  let waiting = false;
  new MutationObserver(() => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => ((waiting = false), look()), 100);
  }).observe(document, { childList: true, subtree: true });
})();
