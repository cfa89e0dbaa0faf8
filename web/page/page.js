/** The page: what it shows, and what its buttons do. The model is in a worker (client.js). */
import { Client } from "./client.js";
import { dropOthers } from "./download.js";
import { Editor } from "./editor.js";
import { exampleOf, isExample } from "./examples.js";
import { firstSeed, number, samplingOf, seedAt, setState, toState, validationError } from "./parameters.js";
import { fromFragment, toFragment } from "./permalink.js";
import { GAP, add, factsOf, filled, newResult } from "./result.js";
import { clearFigures, fail, say, showFigures } from "./status.js";
import { connectTabs, markTab } from "./tabs.js";

const MAX_GAPS = 8;
const PAINT_MS = 50; // drawing each token takes time from the model
const LEFT = "left"; // the page shows something else by now

const $ = (id) => document.getElementById(id);
const client = new Client(showProgress);
const editor = new Editor($("editor"), continueWith);
let revisions = [];
let pane = "complete";
/** What each pane had when the other one was opened. */
const kept = {};
/** The result of the last run. @type {import("./result.js").Result | null} */
let result = null;
/** Stops the current run. @type {AbortController | null} */
let writing = null;
let shown = 0;

async function begin() {
  for (const [id, action] of Object.entries({ run, retry, undo, copy, link, stop, example: showExample })) {
    $(id).addEventListener("click", action);
  }
  $("previous").addEventListener("click", () => showCandidate(shown - 1));
  $("next").addEventListener("click", () => showCandidate(shown + 1));
  // an example that has been run is still one
  $("language").addEventListener("change", () => updateExample(result ? result.parts.join(GAP) : editor.text));
  $("model").addEventListener("change", () => chooseModel());
  connectTabs(openPane);
  editor.area.addEventListener("input", forget);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $(writing ? "stop" : "run").click();
  });
  addEventListener("hashchange", restore);
  navigator.serviceWorker?.register("./sw.js").catch(() => {}); // only in secure contexts; the page works without it
  try {
    revisions = await (await fetch("./models.json")).json();
  } catch {
    return fail("The list of models cannot be loaded: the site cannot be reached.", () => location.reload());
  }
  dropOthers(revisions);
  $("model").replaceChildren(...revisions.map(({ name, bytes }) => new Option(`${name} · ${megabytes(bytes)} MB`, name)));
  $("run").disabled = $("link").disabled = false;
  openPane("complete");
  if (!(await restore())) await chooseModel();
  return undefined;
}

/** Show what the fragment of the URL says. Returns whether it says anything. */
async function restore() {
  const fragment = location.hash.slice(1);
  if (!fragment || !revisions.length) return false; // it is looked at again when the revisions are known
  const state = await fromFragment(fragment);
  if (!state) {
    await chooseModel("The link is damaged, so its code cannot be shown; copy all of it, and open it again. ");
    return true;
  }
  leave();
  openPane(state.pane === "infill" ? "infill" : "complete");
  setState(state);
  if (["python", "java", "javascript"].includes(state.language)) $("language").value = state.language;
  const isHere = revisions.some(({ name }) => name === state.model);
  if (isHere) $("model").value = state.model;
  editor.show(state.code);
  forget();
  await chooseModel(isHere ? "" : `The link is for ${String(state.model).slice(0, 100)}, which this site does not have. `);
  return true;
}

function openPane(name) {
  markTab(name);
  if (name !== pane) exchange(name);
  updateExample();
}

/** Keep what the open pane has, and show what the other one had. */
function exchange(name) {
  leave();
  kept[pane] = { text: editor.text, result, shown };
  pane = name;
  const other = kept[name];
  editor.show(other?.text ?? "");
  forget();
  say("");
  if (!other?.result) return;
  ({ result, shown } = other);
  running();
  show();
}

/** Show the example of the pane and the language, unless the code, or the one that was continued, is the visitor's own. */
function updateExample(code = editor.text) {
  if (!code || isExample(code)) showExample();
}

function showExample() {
  leave();
  editor.show(exampleOf(pane, $("language").value));
  forget();
  say(pane === "infill" ? `The model fills in ${GAP}.` : "");
}

/** Open the chosen model; `before` is said before the news that it is ready. */
async function chooseModel(before = "") {
  const revision = chosen();
  leave();
  try {
    await open(revision);
    if (chosen() === revision && $("failure").hidden) say(`${before}${revision.name} is ready. Press Run.`);
  } catch (error) {
    if (chosen() === revision) fail(error.message, () => chooseModel(before));
  }
}

async function open(revision) {
  say(`Loading ${revision.name}…`);
  try {
    await client.open(revision);
  } finally {
    clearFigures(); // how much was loaded
  }
}

const chosen = () => revisions.find(({ name }) => name === $("model").value) ?? revisions[0];

async function run() {
  await write(partsOf(editor.text));
}

async function retry() {
  if (result) await write(result.parts, { after: result.candidates.at(-1).seed });
}

/**
 * Fill the gaps between `parts`, or continue the only one. With an `opening`, add a candidate that begins with it to those
 * of the result.
 */
async function write(parts, { after = null, opening = null } = {}) {
  if (writing) return;
  if (pane === "infill" && parts.length < 2) return fail(`Mark the gap with ${GAP}.`);
  if (parts.length - 1 > MAX_GAPS) return fail(`The code has ${parts.length - 1} gaps (${GAP}); at most ${MAX_GAPS} can be filled at once.`);
  const invalid = validationError();
  if (invalid) return fail(invalid);
  const revision = chosen();
  writing = new AbortController();
  const { signal } = writing;
  try {
    running();
    await Promise.race([open(revision), aborted(signal)]); // a download takes minutes, and goes on
    await generate(parts, revision, firstSeed(after), opening, signal);
  } catch (error) {
    if (signal.reason === LEFT) return undefined;
    if (error === signal.reason) say("Stopped.");
    else fail(error.message, () => (result ? write(parts, { after, opening }) : run())); // edited code has no result
  } finally {
    writing = null;
    running();
  }
  return undefined;
}

/** A promise that is rejected with the reason for which `signal` is aborted. */
function aborted(signal) {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}

async function generate(parts, revision, seed, opening, signal) {
  const others = opening ? result.candidates : [];
  const completions = opening ? others[shown].completions.slice(0, opening.texts.length) : [];
  const nWanted = opening ? 1 : number("n");
  const count = number("temperature") === 0 ? 1 : nWanted; // without randomness, all candidates would be the same
  const candidates = Array.from({ length: count }, (_, index) => ({ seed: seedAt(seed, index), completions: [...completions] }));
  const next = newResult(parts, revision.name, [...others]);
  if (count < nWanted) next.notices.push("At temperature 0 all candidates are the same, so only one was generated.");
  const started = performance.now();
  let painting = 0;
  say("Reading the prompt…");
  const tasks = candidates.map((candidate) => taskOf(parts, candidate.seed, opening));
  await client.run(tasks, signal, ({ candidate: index, ...update }) => {
    if (signal.reason === LEFT) return;
    const isRead = next.nTokens > 0;
    add(next, candidates[index], update, performance.now() - started);
    if (!isRead && next.nTokens) say("Writing…"); // the first update comes before the prompt is read
    result = next;
    shown = others.length + index;
    painting ||= setTimeout(() => {
      painting = 0;
      if (writing?.signal === signal && signal.reason !== LEFT) show({ isEnded: false });
    }, PAINT_MS);
  });
  clearTimeout(painting);
  if (signal.reason === LEFT || result !== next) return;
  if (!opening) shown = 0;
  show();
}

function taskOf(parts, seed, opening) {
  return { parts, opening: opening ?? undefined, language: $("language").value, sampling: samplingOf(seed) };
}

/** Continue with another token than the one that was written, as one more candidate. */
async function continueWith({ gap, index }, { id, logprob }) {
  if (writing) return;
  const { completions } = result.candidates[shown];
  const { tokens } = completions[gap];
  const opening = {
    texts: completions.slice(0, gap).map(({ text }) => text),
    tokens: [...tokens.slice(0, index), { ...tokens[index], id, logprob }],
  };
  if (chosen().name !== result.revision) $("model").value = result.revision; // its ids are those of that model
  await write(result.parts, { after: result.candidates.at(-1).seed, opening });
}

function show({ isEnded = true } = {}) {
  const { parts, candidates } = result;
  const candidate = candidates[shown];
  const { code, written } = filled(parts, candidate);
  editor.show(code, written);
  if (!isEnded && parts.length === 1) editor.scrollToEnd();
  const facts = factsOf(result, candidate, isEnded, client.nThreads);
  if (isEnded) say(facts);
  else if (result.nTokens) showFigures(facts);
  $("candidates").hidden = !isEnded || candidates.length < 2;
  $("which").textContent = `${shown + 1} of ${candidates.length}`;
}

/** Stop writing, and keep what was written. */
function stop() {
  writing?.abort();
}

/** Stop writing, because the page shows something else. */
function leave() {
  writing?.abort(LEFT);
}

function showCandidate(index) {
  shown = (index + result.candidates.length) % result.candidates.length;
  show();
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

function running() {
  $("run").disabled = writing !== null;
  $("stop").disabled = writing === null;
  $("undo").disabled = $("retry").disabled = writing !== null || !result;
  editor.area.readOnly = writing !== null;
}

async function copy() {
  await toClipboard(editor.text).then(() => say("Copied."), () => fail("The browser does not allow copying here."));
}

/** Rejects, too, if there is no clipboard, as in a context that is not secure. */
async function toClipboard(text) {
  await navigator.clipboard.writeText(text);
}

async function link() {
  const code = result ? result.parts.join(GAP) : editor.text;
  const state = { pane, model: chosen().name, language: $("language").value, code, ...toState() };
  if (result) state.parameters.seed = result.candidates[shown].seed;
  const fragment = await toFragment(state);
  if (!fragment) return fail("The code is too long for a link.");
  history.replaceState(null, "", `#${fragment}`);
  await toClipboard(location.href).then(
    () => say("Link copied. It contains the code itself; nothing was sent anywhere."),
    () => say("The link is in the address bar. It contains the code itself; nothing was sent anywhere."),
  );
  return undefined;
}

const partsOf = (code) => (pane === "infill" ? code.split(GAP) : [code]);
const megabytes = (bytes) => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);

function showProgress(loaded, total) {
  showFigures(`${megabytes(loaded)} of ${megabytes(total)} MB loaded`);
}

await begin();
