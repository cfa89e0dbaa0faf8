/** The form of the parameters. */

const NUMBERS = ["n", "max_new_tokens", "temperature", "top_p", "top_k", "repetition_penalty"];
const MAX_SEED = 2 ** 32 - 1;

const $ = (id) => document.getElementById(id);
export const number = (id) => Number($(id).value);

/** What is wrong with a parameter, which then has the focus; null if nothing is. */
export function validationError() {
  $("seed").setCustomValidity(Number($("seed").value) > MAX_SEED ? `the largest is ${MAX_SEED}` : "");
  const bad = [...document.querySelectorAll("#parameters input")].find((input) => !input.checkValidity());
  if (!bad) return null;
  $("parameters").open = true;
  bad.focus();
  return `${bad.labels[0].textContent.trim()}: ${bad.validationMessage}`;
}

/** The parameters of a candidate, as the engine takes them. @param {number} seed */
export function samplingOf(seed) {
  return {
    max_new_tokens: number("max_new_tokens"),
    temperature: number("temperature"),
    top_p: number("top_p"),
    top_k: number("top_k"),
    repetition_penalty: number("repetition_penalty"),
    seed,
    stop: $("stop_sequences").value.split("\n").filter(Boolean).map((line) => line.replaceAll("\\n", "\n")),
    top_logprobs: 5,
    stop_at: $("stop_at").value,
    stop_repetition: $("stop_repetition").checked,
  };
}

/** The seed of a run: the one after `after`, else the given one, else a random one. @param {number | null} after */
export function firstSeed(after) {
  if (after !== null) return seedAt(after, 1);
  const given = $("seed").value.trim();
  return given ? Number(given) : crypto.getRandomValues(new Uint32Array(1))[0];
}

/** @param {number} seed @param {number} index of a candidate whose run began with `seed`. */
export const seedAt = (seed, index) => (seed + index) % (MAX_SEED + 1);

/** What a link says of the parameters. */
export function toState() {
  const parameters = Object.fromEntries([...NUMBERS, "seed", "stop_at"].map((id) => [id, $(id).value]));
  parameters.stop = $("stop_sequences").value;
  return { parameters, stop_repetition: $("stop_repetition").checked };
}

/** Set the parameters to those of a link, which may have anything in it. */
export function setState({ parameters, stop_repetition }) {
  for (const [id, value] of Object.entries(parameters ?? {})) {
    if ([...NUMBERS, "seed"].includes(id)) $(id).value = String(value);
    if (id === "stop") $("stop_sequences").value = String(value);
    if (id === "stop_at" && [...$(id).options].some((option) => option.value === value)) $(id).value = value;
  }
  $("stop_repetition").checked = stop_repetition !== false;
}
