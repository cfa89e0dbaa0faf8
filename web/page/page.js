/** The page: what it shows, and what its buttons do. The model is in a worker (client.js). */
import { Client } from "./client.js";
import { Editor } from "./editor.js";
import { suitsSuffixFirst } from "./engine/gap_start.js";
import { isOnByDefault } from "./engine/token_healing.js";
import { exampleOf } from "./examples.js";
import { fromFragment, toFragment } from "./permalink.js";

const GAP = "<FILL_HERE>";
const NUMBERS = ["n", "max_new_tokens", "temperature", "top_p", "top_k", "repetition_penalty"];
/** Screen readers announce each change of the status. */
const STATUS_MS = 500;
const MAX_SEED = 2 ** 32 - 1;
const ENDS = { length: "hit the length limit", cancelled: "stopped", stop: "finished" };

const $ = (id) => document.getElementById(id);
const client = new Client(showProgress);
const editor = new Editor($("editor"), continueWith);
let revisions = [];
let pane = "complete";
/** The result of the last run: the code around each gap, and the candidates. */
let result = null;
let shown = 0;
let times = {};
let saidAt = 0;

async function begin() {
  for (const [id, action] of Object.entries({ run, retry, undo, copy, link, stop: () => client.stop(), example: showExample })) {
    $(id).addEventListener("click", action);
  }
  $("previous").addEventListener("click", () => showCandidate(shown - 1));
  $("next").addEventListener("click", () => showCandidate(shown + 1));
  $("language").addEventListener("change", showExample);
  $("model").addEventListener("change", chooseModel);
  for (const tab of $("panes").children) tab.addEventListener("click", () => openPane(tab.dataset.pane, { withExample: true }));
  $("panes").addEventListener("keydown", moveTab);
  editor.area.addEventListener("input", forget);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) (client.isRunning ? () => client.stop() : run)();
  });
  addEventListener("hashchange", restore);
  navigator.serviceWorker?.register("./sw.js").catch(() => {}); // only in secure contexts; the page works without it
  revisions = await (await fetch("./models.json")).json();
  $("model").replaceChildren(...revisions.map(({ name, bytes }) => new Option(`${name} · ${megabytes(bytes)} MB`, name)));
  openPane("complete", { withExample: true });
  if (!(await restore())) await chooseModel();
}

/** Show what the fragment of the URL says. Returns whether it says anything. */
async function restore() {
  const state = location.hash.length > 1 ? await fromFragment(location.hash.slice(1)) : null;
  if (!state) return false;
  openPane(state.pane === "infill" ? "infill" : "complete");
  for (const [id, value] of Object.entries(state.parameters ?? {})) {
    if ([...NUMBERS, "seed", "stop_at"].includes(id)) $(id).value = String(value);
  }
  $("stop_repetition").checked = state.stop_repetition !== false;
  if (["python", "java", "javascript"].includes(state.language)) $("language").value = state.language;
  if (revisions.some(({ name }) => name === state.model)) $("model").value = state.model;
  else say(`The link is for ${String(state.model).slice(0, 100)}, which this site does not have; another model was chosen.`);
  editor.show(state.code);
  forget();
  await chooseModel();
  return true;
}

function openPane(name, { withExample = false } = {}) {
  const isOther = pane !== name;
  pane = name;
  for (const tab of $("panes").children) {
    const isSelected = tab.dataset.pane === name;
    tab.setAttribute("aria-selected", String(isSelected));
    tab.tabIndex = isSelected ? 0 : -1;
  }
  $("work").setAttribute("aria-labelledby", `tab-${name}`);
  if (withExample && (isOther || !editor.text)) showExample();
}

function moveTab(event) {
  const tabs = [...$("panes").children];
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const tab = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
  tab.focus();
  tab.click();
}

function showExample() {
  if (client.isRunning) client.stop();
  editor.show(exampleOf(pane, $("language").value));
  forget();
  say(pane === "infill" ? `The model fills in ${GAP}.` : "");
}

async function chooseModel() {
  const revision = chosen();
  if (client.isRunning) client.stop();
  try {
    say(`Loading ${revision.name}…`);
    await client.open(revision);
    if (chosen() === revision) say(`${revision.name} is ready. Press Run.`);
  } catch (error) {
    if (chosen() === revision) fail(error.message, chooseModel);
  }
}

const chosen = () => revisions.find(({ name }) => name === $("model").value) ?? revisions[0];

async function run() {
  await write(partsOf(editor.text));
}

async function retry() {
  if (result) await write(result.parts, { after: result.candidates.at(-1).seed });
}

/** Write between `parts`: behind the only one, or in the gap between two. */
async function write(parts, { after = null, begun = "" } = {}) {
  if (client.isRunning) return;
  if (parts.length > 2) return fail(`Only one gap can be filled here: leave one ${GAP}.`);
  if (pane === "infill" && parts.length < 2) return fail(`Mark the gap with ${GAP}.`);
  const bad = [...document.querySelectorAll("#parameters input")].find((input) => !input.checkValidity());
  if (bad) {
    $("parameters").open = true;
    bad.focus();
    return fail(`${bad.labels[0].textContent.trim()}: ${bad.validationMessage}`);
  }
  const revision = chosen();
  try {
    running(true);
    await client.open(revision);
    await generateBetween(parts, revision, firstSeed(after), begun);
  } catch (error) {
    if (chosen() === revision) fail(error.message, () => write(parts, { after, begun }));
  } finally {
    running(false);
  }
  return undefined;
}

async function generateBetween(parts, revision, seed, begun) {
  const count = begun ? 1 : number("n");
  const candidates = Array.from({ length: count }, (_, index) => ({ seed: (seed + index) % (MAX_SEED + 1), text: "", tokens: [], reason: "" }));
  const before = { parts, candidates, begun, revision: revision.name, notices: [], nPrompt: 0, began: 0, last: 0 };
  const started = performance.now();
  let firstToken = 0;
  let painting = 0; // not more often than the screen is drawn
  say("Reading the prompt…");
  const requests = candidates.map((candidate) => requestOf(parts, candidate.seed, begun));
  await client.run(requests, ({ candidate: index, text, tokens, reason, notices, nPrompt, at }) => {
    const candidate = candidates[index];
    if (tokens.length) {
      firstToken ||= performance.now();
      before.began ||= at;
      before.last = at;
    }
    candidate.tokens.push(...tokens);
    Object.assign(candidate, { text, reason });
    before.nPrompt ||= nPrompt;
    for (const notice of notices) if (!before.notices.includes(notice)) before.notices.push(notice);
    result = before;
    shown = index;
    painting ||= requestAnimationFrame(() => {
      painting = 0;
      if (client.isRunning) show({ started, firstToken });
    });
  });
  cancelAnimationFrame(painting);
  shown = 0;
  result = { ...before, candidates: candidates.filter(({ reason }) => reason) };
  if (result.candidates.length) show({ started, firstToken, ended: performance.now() });
}

function requestOf(parts, seed, begun) {
  const isGap = parts.length > 1;
  const prefix = parts[0] + begun;
  const suffix = isGap ? parts[1] : null;
  return {
    prefix,
    suffix,
    fim_order: isGap ? (suitsSuffixFirst(prefix, suffix) ? "spm" : "psm") : null,
    language: $("language").value,
    fit_gap: isGap,
    sampling: {
      max_new_tokens: number("max_new_tokens"),
      temperature: number("temperature"),
      top_p: number("top_p"),
      top_k: number("top_k"),
      repetition_penalty: number("repetition_penalty"),
      seed,
      top_logprobs: 5,
      token_healing: isOnByDefault(prefix, suffix),
      stop_at: isGap ? "none" : $("stop_at").value,
      stop_repetition: $("stop_repetition").checked,
    },
  };
}

/** Continue with another token than the one that was written. */
async function continueWith(token, alternative) {
  const { parts, begun } = result;
  const written = result.candidates[shown].text.slice(0, token.start - parts[0].length - begun.length);
  await write(parts, { begun: begun + written + alternative.text });
}

function show({ started, firstToken, ended = 0 }) {
  const { parts, candidates, begun } = result;
  const candidate = candidates[shown];
  const start = parts[0].length + begun.length;
  const written = candidate.tokens.map((token) => ({ ...token, start: start + token.offset, end: start + token.offset + token.text.length }));
  const whole = parts[0] + begun + candidate.text + (parts[1] ?? "");
  editor.show(whole, written.filter(({ end }) => end <= start + candidate.text.length));
  if (!ended && parts.length === 1) editor.scrollToEnd();
  times = { started, firstToken, ended };
  if (!ended && performance.now() - saidAt < STATUS_MS) return;
  saidAt = performance.now();
  const count = candidates.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const rate = (1000 * (count - 1)) / (result.last - result.began);
  const facts = [`${count} tokens`, Number.isFinite(rate) ? `${rate.toFixed(0)} tokens/s in this browser` : "in this browser"];
  if (ended) {
    const delay = `first token ${(firstToken - started).toFixed(0)} ms after ${result.nPrompt} prompt tokens`;
    facts.push(ENDS[candidate.reason] ?? candidate.reason, delay, `seed ${candidate.seed}`, result.revision);
  }
  say([facts.join(" · "), ...result.notices].join(" "));
  $("candidates").hidden = !ended || candidates.length < 2;
  $("which").textContent = `${shown + 1} of ${candidates.length}`;
}

function showCandidate(index) {
  shown = (index + result.candidates.length) % result.candidates.length;
  show(times);
}

function undo() {
  if (!result) return;
  editor.show(result.parts.join(GAP));
  forget();
  say("");
}

function forget() {
  result = null;
  $("candidates").hidden = true;
  $("undo").disabled = $("retry").disabled = true;
}

function running(isRunning) {
  $("run").disabled = isRunning;
  $("stop").disabled = !isRunning;
  $("undo").disabled = $("retry").disabled = isRunning || !result;
  editor.area.readOnly = isRunning;
  if (isRunning) $("failure").hidden = true;
}

async function copy() {
  await navigator.clipboard.writeText(editor.text).then(() => say("Copied."), () => fail("The browser does not allow copying here."));
}

async function link() {
  const values = Object.fromEntries([...NUMBERS, "seed", "stop_at"].map((id) => [id, $(id).value]));
  if (result) values.seed = result.candidates[shown].seed;
  const code = result ? result.parts.join(GAP) : editor.text;
  const state = { pane, model: chosen().name, language: $("language").value, code, parameters: values, stop_repetition: $("stop_repetition").checked };
  history.replaceState(null, "", `#${await toFragment(state)}`);
  await navigator.clipboard.writeText(location.href).then(
    () => say("Link copied. It contains the code itself; nothing was sent anywhere."),
    () => say("The link is in the address bar. It contains the code itself; nothing was sent anywhere."),
  );
}

const partsOf = (code) => (pane === "infill" ? code.split(GAP) : [code]);
const number = (id) => Number($(id).value);
const megabytes = (bytes) => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);

function firstSeed(after) {
  if (after !== null) return (after + 1) % (MAX_SEED + 1);
  const given = $("seed").value.trim();
  return /^\d+$/.test(given) ? Math.min(MAX_SEED, Number(given)) : crypto.getRandomValues(new Uint32Array(1))[0];
}

function showProgress(loaded, total) {
  say(`Loading ${chosen().name}: ${megabytes(loaded)} of ${megabytes(total)} MB…`);
}

function say(text) {
  $("failure").hidden = true;
  $("status").textContent = text;
}

/** Show a sentence, and a button that tries again, if there is something to try. */
function fail(sentence, again = null) {
  $("status").textContent = "";
  $("failure").replaceChildren(`${sentence} `);
  if (again) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Try again";
    button.addEventListener("click", again);
    $("failure").append(button);
  }
  $("failure").hidden = false;
}

await begin();
