/** The tabs of the panes. */

const list = document.getElementById("panes");

/** @param {(name: string) => void} open called with the pane of the tab that is pressed, or reached with an arrow key. */
export function connectTabs(open) {
  for (const tab of list.children) tab.addEventListener("click", () => open(tab.dataset.pane));
  list.addEventListener("keydown", move);
}

/** @param {string} name the pane that is open. */
export function markTab(name) {
  for (const tab of list.children) {
    const isSelected = tab.dataset.pane === name;
    tab.setAttribute("aria-selected", String(isSelected));
    tab.tabIndex = isSelected ? 0 : -1;
  }
  document.getElementById("work").setAttribute("aria-labelledby", `tab-${name}`);
}

function move(event) {
  const tabs = [...list.children];
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const tab = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
  tab.focus();
  tab.click();
}
