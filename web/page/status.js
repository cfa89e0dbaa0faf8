/** What the page says below the code. */

const FIGURES_MS = 500; // nobody reads faster

const status = document.getElementById("status");
const figures = document.getElementById("figures");
const failure = document.getElementById("failure");
let changedAt = -Infinity;

/** @param {string} text a sentence, which screen readers announce. */
export function say(text) {
  failure.hidden = true;
  status.textContent = text;
  clearFigures();
}

/** Show, beside the status, how far something is. Screen readers do not announce it, and a failure stays in sight. @param {string} text */
export function showFigures(text) {
  if (performance.now() - changedAt < FIGURES_MS) return;
  changedAt = performance.now();
  figures.textContent = text;
}

export function clearFigures() {
  changedAt = -Infinity;
  figures.textContent = "";
}

/**
 * Show a sentence, and a button that tries again, if there is something to try.
 *
 * @param {string} sentence @param {(() => void) | null} again
 */
export function fail(sentence, again = null) {
  status.textContent = "";
  clearFigures();
  failure.replaceChildren(`${sentence} `);
  if (again) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Try again";
    button.addEventListener("click", again);
    failure.append(button);
  }
  failure.hidden = false;
}
