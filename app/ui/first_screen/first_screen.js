// The first screen of a phone (`markup.py`). Gradio takes seconds there to build the page, in which nothing can be pressed.
// So it begins when the visitor has run the example, asks for the whole page, or does nothing for a while. A run is an event
// of the page's API, with the defaults of its parameters, so that the Complete pane can show it as its own.
(() => {
  const PHONE = "(max-width: 640px)"; // as in style/page.css
  const IDLE_MS = 20_000;
  const READING_MS = 1_000; // so that the end of a text is seen before the page is built
  const RESTORING_MS = 5_000; // until the pane shows a run, if the server is slow
  const KEPT = "santacoder.kept.complete"; // as in a_santacoder.js: a reload shows it again
  const LOADING = "Loading the other panes …";

  const screen = document.querySelector("#first");
  const gradio = document.querySelector("gradio-app");
  const isKept = Object.keys(sessionStorage).some((name) => name.startsWith("santacoder.kept."));
  if (!matchMedia(PHONE).matches || isKept || !gradio || !window.gradio_api_info) {
    screen.remove();
    return;
  }
  const part = (name) => screen.querySelector(`.first-${name}`);
  const [area, overlay, run, accept, stop, status] = [
    screen.querySelector("textarea"),
    screen.querySelector("pre"),
    ...["run", "accept", "stop", "status"].map(part),
  ];
  const example = area.defaultValue;
  let running = null; // an AbortController
  let generation = null; // the last one: its JSON, and the code with it
  let isComposing = false;
  let isOver = false;
  let staysAtCode = true; // where it is on the screen; unless the visitor asked for what is around it
  let idle = 0;

  gradio.remove(); // nothing is built until it is back
  screen.hidden = false;

  // What comes after the user's text, in grey or as written.
  function annotate(before, after, isWritten) {
    part("before").textContent = before;
    part("after").textContent = after;
    part("after").classList.toggle("written", isWritten);
    accept.hidden = isWritten || !after; // a phone has no Tab
    follow();
  }

  function follow() {
    overlay.scrollTop = area.scrollTop;
    overlay.scrollLeft = area.scrollLeft;
  }

  function say(sentence, isError = false) {
    if (status.textContent !== sentence) status.textContent = sentence;
    status.classList.toggle("error", isError);
  }

  async function suggest() {
    const { model, branch } = screen.dataset;
    const asked = new URLSearchParams({ model, revision: branch, code: example });
    const answer = await fetch(`examples/answer?${asked}`).catch(() => null);
    if (answer?.status !== 200) return;
    const { text } = await answer.json();
    if (area.value !== example || running || generation) return;
    annotate(example, text.trimEnd(), false);
    area.setAttribute("aria-description", `Suggestion, Tab accepts it: ${text.trim()}`);
  }

  function edited() {
    annotate("", "", false);
    area.removeAttribute("aria-description");
    try {
      sessionStorage.setItem(KEPT, JSON.stringify([area.value, "python"]));
    } catch {
      // storage is disabled or full
    }
    wait();
  }

  function acceptSuggestion() {
    area.setRangeText(part("after").textContent, area.value.length, area.value.length, "end");
    edited();
    say("Accepted. Begin the next line before you press Run: a small model repeats what is above.");
  }

  // One run

  async function write() {
    if (running) return;
    running = new AbortController();
    [run.disabled, stop.disabled, generation] = [true, false, null];
    clearTimeout(idle);
    const before = area.value;
    area.readOnly = true;
    edited();
    say("Writing …");
    try {
      for await (const outputs of outputsOf(before, running.signal)) show(before, outputs);
    } catch (error) {
      if (running.signal.aborted) say("Stopped.");
      else say(error.isTold ? error.message : "The server cannot be reached. Your code is kept in this browser.", true);
    }
    running = null;
    [run.disabled, stop.disabled, area.readOnly] = [false, true, false];
    setTimeout(begin, READING_MS);
    handOver();
  }

  function show(before, [code, told, ...others]) {
    const text = code?.value ?? code;
    if (typeof text === "string") {
      area.value = text;
      area.scrollTop = area.scrollHeight;
      annotate(before, text.slice(before.length), true);
    }
    const lines = new DOMParser().parseFromString(told, "text/html");
    lines.querySelectorAll("details").forEach((facts) => facts.remove());
    const isRunning = lines.querySelector("[data-running=true]");
    const sentences = [...lines.querySelectorAll(".status")].map((line) => line.textContent.trim());
    // a screen reader hears the end, not each token
    say(isRunning ? "Writing …" : sentences.join(" "), Boolean(lines.querySelector(".error")));
    const recorded = others.at(-1); // the recorder is the event's last output
    if (typeof recorded === "string") generation = { json: recorded, code: text };
  }

  // The outputs of the pane's event, update by update.
  async function* outputsOf(code, signal) {
    const parameters = window.gradio_api_info.named_endpoints["/complete"].parameters;
    const data = parameters.map((each) => (each.parameter_name === "code" ? code : each.parameter_default));
    const { event_id } = await (await told("gradio_api/call/complete", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ data }),
      signal,
    })).json();
    const stream = await told(`gradio_api/call/complete/${event_id}`, { signal });
    let text = "";
    for await (const piece of pieces(stream)) {
      const events = (text + piece).split("\n\n");
      text = events.pop();
      for (const event of events) {
        const [, name, content] = event.match(/^event: (\w+)\ndata: (.*)$/s) ?? [];
        if (name === "error") throw sentence(JSON.parse(content));
        if (name === "generating" || name === "complete") yield JSON.parse(content);
      }
    }
  }

  async function* pieces(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) yield value;
  }

  async function told(address, options) {
    const response = await fetch(address, options);
    if (!response.ok) throw sentence(await response.json().catch(() => null));
    return response;
  }

  // An error that the server tells in a sentence.
  function sentence(content) {
    const message = [content, content?.error, content?.detail, content?.error?.message].find((each) => each && typeof each === "string");
    return Object.assign(new Error(message ?? "The server could not run it. Press Run once more."), { isTold: true });
  }

  // Gradio's page

  function begin() {
    clearTimeout(idle);
    if (gradio.isConnected || running) return;
    part("more").textContent = LOADING;
    part("more").disabled = true;
    new MutationObserver((_, observer) => {
      if (!isReady()) return;
      observer.disconnect();
      handOver();
    }).observe(document.documentElement, { attributeFilter: ["data-drawn", "data-ready"] });
    gradio.inert = true;
    requestAnimationFrame(() => setTimeout(() => screen.after(gradio))); // after the next frame
  }

  function wait() {
    clearTimeout(idle);
    idle = setTimeout(begin, IDLE_MS);
  }

  const viewOf = () => document.querySelector("#complete-editor .cm-content")?.cmTile?.root?.view;
  // drawn.js and picker.js say so
  const isReady = () => ["drawn", "ready"].every((name) => name in document.documentElement.dataset);
  const isUnchanged = () => generation?.code === area.value;

  // The pane shows what the screen shows; then the screen goes. During a run, when that has ended.
  async function handOver() {
    if (!isReady() || running || isComposing || isOver) return;
    isOver = true;
    if (isUnchanged()) await restored(generation);
    else if (area.value === viewOf().state.doc.toString()) await santacoder.ghost.suggest();
    isOver = false;
    if (running || isComposing) return;
    isOver = true;
    const view = viewOf();
    const [from, to] = [area.selectionStart, area.selectionEnd];
    const isFocused = document.activeElement === area;
    const length = view.state.doc.length;
    if (view.state.doc.toString() !== area.value) {
      document.querySelector("#complete-status [data-written]")?.removeAttribute("data-written"); // edited since
      view.dispatch({ changes: { from: 0, to: length, insert: area.value }, userEvent: "input" });
    }
    view.dispatch({ selection: { anchor: from, head: to } });
    view.scrollDOM.scrollTop = area.scrollTop;
    view.scrollDOM.scrollLeft = area.scrollLeft;
    const { top } = area.getBoundingClientRect();
    screen.remove();
    gradio.inert = false;
    if (isFocused) view.focus();
    if (staysAtCode) scrollBy(0, view.scrollDOM.getBoundingClientRect().top - top);
  }

  // The pane shows the generation, and adds it to the history.
  async function restored({ json, code }) {
    santacoder.history.restore("complete", json);
    const end = performance.now() + RESTORING_MS;
    const isShown = () => document.querySelector("#complete-status [data-written]") && viewOf().state.doc.toString() === code;
    while (!isShown() && performance.now() < end) await new Promise(requestAnimationFrame);
  }

  area.addEventListener("input", () => {
    generation = null;
    edited();
  });
  area.addEventListener("scroll", follow);
  area.addEventListener("compositionstart", () => (isComposing = true));
  area.addEventListener("compositionend", () => {
    isComposing = false;
    handOver();
  });
  area.addEventListener("keydown", (event) => {
    const isPlain = !event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey;
    if (event.key !== "Tab" || !isPlain || accept.hidden) return;
    event.preventDefault();
    acceptSuggestion();
  });
  screen.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    event.stopPropagation();
    if (running) running.abort();
    else write();
  });
  run.addEventListener("click", write);
  accept.addEventListener("click", acceptSuggestion);
  stop.addEventListener("click", () => running?.abort());
  part("more").addEventListener("click", () => {
    staysAtCode = false;
    begin();
  });
  for (const name of ["pointerdown", "keydown", "scroll"]) screen.addEventListener(name, () => !gradio.isConnected && wait(), { passive: true });
  wait();
  suggest();
})();
