/** The page: what it shows, and what its buttons do. The model is in a worker (client.js). */
import { Client } from "./client.js";
import { dropOthers } from "./download.js";
import { Editor } from "./editor.js";
import { exampleOf } from "./examples.js";
import { fromFragment, toFragment } from "./permalink.js";

const GAP = "<FILL_HERE>";
const MAX_GAPS = 8;
const NUMBERS = ["n", "max_new_tokens", "temperature", "top_p", "top_k", "repetition_penalty"];
/** Screen readers announce each change of the status. */
const STATUS_MS = 500;
const PAINT_MS = 50; // drawing each token takes time from the model
const MAX_SEED = 2 ** 32 - 1;
const LEFT = "left"; // the page shows something else by now
const ENDS = { length: "hit the length limit", cancelled: "stopped", stop: "finished" };

const $ = (id) => document.getElementById(id);
const client = new Client(showProgress);
const editor = new Editor($("editor"), continueWith);
let revisions = [];
let pane = "complete";
/** The result of the last run: the code around the gaps, and the candidates with the text of each gap. */
let result = null;
/** Stops the current run. @type {AbortController | null} */
let writing = null;
let shown = 0;
let times = {};
let saidAt = 0;

async function begin() {
  for (const [id, action] of Object.entries({ run, retry, undo, copy, link, stop, example: showExample })) {
    $(id).addEventListener("click", action);
  }
  $("previous").addEventListener("click", () => showCandidate(shown - 1));
  $("next").addEventListener("click", () => showCandidate(shown + 1));
  $("language").addEventListener("change", showExample);
  $("model").addEventListener("change", () => chooseModel());
  for (const tab of $("panes").children) tab.addEventListener("click", () => openPane(tab.dataset.pane, { withExample: true }));
  $("panes").addEventListener("keydown", moveTab);
  editor.area.addEventListener("input", forget);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) (writing ? stop : run)();
  });
  addEventListener("hashchange", restore);
  navigator.serviceWorker?.register("./sw.js").catch(() => {}); // only in secure contexts; the page works without it
  try {
    revisions = await (await fetch("./models.json")).json();
  } catch {
    return fail("The list of models cannot be loaded: the site is out of reach.", () => location.reload());
  }
  dropOthers(revisions);
  $("model").replaceChildren(...revisions.map(({ name, bytes }) => new Option(`${name} · ${megabytes(bytes)} MB`, name)));
  openPane("complete", { withExample: true });
  if (!(await restore())) await chooseModel();
  return undefined;
}

/** Show what the fragment of the URL says. Returns whether it says anything. */
async function restore() {
  const state = location.hash.length > 1 ? await fromFragment(location.hash.slice(1)) : null;
  if (!state) return false;
  leave();
  openPane(state.pane === "infill" ? "infill" : "complete");
  for (const [id, value] of Object.entries(state.parameters ?? {})) {
    if ([...NUMBERS, "seed"].includes(id)) $(id).value = String(value);
    if (id === "stop_at" && [...$(id).options].some((option) => option.value === value)) $(id).value = value;
  }
  $("stop_repetition").checked = state.stop_repetition !== false;
  if (["python", "java", "javascript"].includes(state.language)) $("language").value = state.language;
  const isHere = revisions.some(({ name }) => name === state.model);
  if (isHere) $("model").value = state.model;
  editor.show(state.code);
  forget();
  await chooseModel(isHere ? "" : `The link is for ${String(state.model).slice(0, 100)}, which this site does not have. `);
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
    say(`Loading ${revision.name}…`);
    await client.open(revision);
    if (chosen() === revision) say(`${before}${revision.name} is ready. Press Run.`);
  } catch (error) {
    if (chosen() === revision) fail(error.message, () => chooseModel(before));
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
  const bad = [...document.querySelectorAll("#parameters input")].find((input) => !input.checkValidity());
  if (bad) {
    $("parameters").open = true;
    bad.focus();
    return fail(`${bad.labels[0].textContent.trim()}: ${bad.validationMessage}`);
  }
  const revision = chosen();
  writing = new AbortController();
  const { signal } = writing;
  try {
    running();
    await client.open(revision);
    if (signal.aborted && signal.reason !== LEFT) say("Stopped.");
    await generate(parts, revision, firstSeed(after), opening, signal);
  } catch (error) {
    if (signal.reason !== LEFT) fail(error.message, () => write(parts, { after, opening }));
  } finally {
    writing = null;
    running();
  }
  return undefined;
}

async function generate(parts, revision, seed, opening, signal) {
  const others = opening ? result.candidates : [];
  const completions = opening ? others[shown].completions.slice(0, opening.texts.length) : [];
  const count = opening ? 1 : number("n");
  const candidates = Array.from({ length: count }, (_, index) => ({ seed: (seed + index) % (MAX_SEED + 1), completions: [...completions] }));
  const next = { parts, candidates: [...others, ...candidates], revision: revision.name, notices: [], nPrompt: 0, nTokens: 0, began: 0, last: 0 };
  const started = performance.now();
  let firstToken = 0;
  let painting = 0;
  if (!signal.aborted) say("Reading the prompt…");
  const tasks = candidates.map((candidate) => taskOf(parts, candidate.seed, opening));
  await client.run(tasks, signal, ({ candidate: index, gap, text, tokens, reason, notices, nPrompt, at }) => {
    if (signal.reason === LEFT) return;
    const candidate = candidates[index];
    const completion = (candidate.completions[gap] ??= { text: "", tokens: [], reason: "" });
    completion.tokens.push(...tokens);
    Object.assign(completion, { text, reason });
    next.nPrompt ||= nPrompt;
    const nNew = next.nPrompt ? tokens.filter(({ respelled }) => !respelled).length : 0; // the opening comes first
    if (nNew) {
      firstToken ||= performance.now();
      next.began ||= at;
      next.last = at;
      next.nTokens += nNew;
    }
    for (const notice of notices) if (!next.notices.includes(notice)) next.notices.push(notice);
    result = next;
    shown = others.length + index;
    painting ||= setTimeout(() => {
      painting = 0;
      if (writing?.signal === signal && signal.reason !== LEFT) show({ started, firstToken });
    }, PAINT_MS);
  });
  clearTimeout(painting);
  if (signal.reason === LEFT || result !== next) return;
  next.candidates = next.candidates.filter((candidate) => candidate.completions.length);
  if (!opening) shown = 0;
  show({ started, firstToken, ended: performance.now() });
}

function taskOf(parts, seed, opening) {
  return {
    parts,
    opening: opening ?? undefined,
    language: $("language").value,
    sampling: {
      max_new_tokens: number("max_new_tokens"),
      temperature: number("temperature"),
      top_p: number("top_p"),
      top_k: number("top_k"),
      repetition_penalty: number("repetition_penalty"),
      seed,
      top_logprobs: 5,
      stop_at: $("stop_at").value,
      stop_repetition: $("stop_repetition").checked,
    },
  };
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

/** The code with the gaps that a candidate has filled, and the tokens of their texts with their places in it. */
function filled(parts, { completions }) {
  let code = parts[0];
  const written = [];
  for (const [gap, { text, tokens }] of completions.entries()) {
    const start = code.length;
    code += text + (parts[gap + 1] ?? "");
    for (const [index, token] of tokens.entries()) {
      const begin = start + token.offset;
      const end = begin + token.text.length;
      if (token.text && end <= start + text.length) written.push({ ...token, gap, index, start: begin, end });
    }
  }
  const rest = parts.slice(completions.length + 1).map((part) => GAP + part);
  if (!completions.length && parts.length > 1) return { code: parts.join(GAP), written };
  return { code: code + rest.join(""), written };
}

function show({ started, firstToken, ended = 0 }) {
  const { parts, candidates } = result;
  const candidate = candidates[shown];
  const { code, written } = filled(parts, candidate);
  editor.show(code, written);
  if (!ended && parts.length === 1) editor.scrollToEnd();
  times = { started, firstToken, ended };
  if (!ended && performance.now() - saidAt < STATUS_MS) return;
  saidAt = performance.now();
  const rate = (1000 * (result.nTokens - 1)) / (result.last - result.began);
  const facts = [`${result.nTokens} tokens`, Number.isFinite(rate) ? `${rate.toFixed(0)} tokens/s in this browser` : "in this browser"];
  if (ended) {
    if (client.nThreads > 1) facts.push(`${client.nThreads} threads`);
    facts.push(endOf(candidate));
    if (firstToken) facts.push(`first token ${(firstToken - started).toFixed(0)} ms after ${result.nPrompt} prompt tokens`);
    facts.push(`seed ${candidate.seed}`, result.revision);
  }
  say([facts.join(" · "), ...result.notices].join(" "));
  $("candidates").hidden = !ended || candidates.length < 2;
  $("which").textContent = `${shown + 1} of ${candidates.length}`;
}

function endOf({ completions }) {
  const isWhole = completions.length === Math.max(1, result.parts.length - 1);
  const { reason } = completions.at(-1);
  return ENDS[isWhole && reason ? reason : "cancelled"] ?? reason;
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

function running() {
  $("run").disabled = writing !== null;
  $("stop").disabled = writing === null;
  $("undo").disabled = $("retry").disabled = writing !== null || !result;
  editor.area.readOnly = writing !== null;
  if (writing) $("failure").hidden = true;
}

async function copy() {
  await navigator.clipboard.writeText(editor.text).then(() => say("Copied."), () => fail("The browser does not allow copying here."));
}

async function link() {
  const values = Object.fromEntries([...NUMBERS, "seed", "stop_at"].map((id) => [id, $(id).value]));
  if (result) values.seed = result.candidates[shown].seed;
  const code = result ? result.parts.join(GAP) : editor.text;
  const state = { pane, model: chosen().name, language: $("language").value, code, parameters: values, stop_repetition: $("stop_repetition").checked };
  const fragment = await toFragment(state);
  if (!fragment) return fail("The code is too long for a link.");
  history.replaceState(null, "", `#${fragment}`);
  await navigator.clipboard.writeText(location.href).then(
    () => say("Link copied. It contains the code itself; nothing was sent anywhere."),
    () => say("The link is in the address bar. It contains the code itself; nothing was sent anywhere."),
  );
  return undefined;
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
