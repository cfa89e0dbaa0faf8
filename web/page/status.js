/** What the page says below the code. */

const status = document.getElementById("status");
const failure = document.getElementById("failure");

/** @param {string} text a sentence, which screen readers announce. */
export function say(text) {
  failure.hidden = true;
  status.textContent = text;
}

/**
 * Show a sentence, and a button that tries again, if there is something to try.
 *
 * @param {string} sentence @param {(() => void) | null} again
 */
export function fail(sentence, again = null) {
  status.textContent = "";
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
