// What a screen reader hears of a run: that it has begun, and how it ended; not each token.
(() => {
  let heard = new WeakMap(); // the last sentence of each status

  function region() {
    let line = document.querySelector("#announced");
    if (!line) {
      line = document.createElement("p");
      line.id = "announced";
      line.className = "only-read";
      line.setAttribute("aria-live", "polite");
      document.body.append(line);
    }
    return line;
  }

  function look() {
    for (const lines of document.querySelectorAll(".status-lines")) {
      const status = lines.querySelector("[data-running]");
      if (!status) continue;
      const sentence = status.dataset.running === "true" ? "Writing …" : status.dataset.announcement;
      if (!sentence || heard.get(lines) === sentence) continue;
      heard.set(lines, sentence);
      if (lines.offsetParent) region().textContent = sentence;
    }
  }

  addEventListener("DOMContentLoaded", region);
  new MutationObserver((records) => {
    if (records.some(({ target }) => target instanceof Element && target.closest(".status-lines"))) look();
  }).observe(document, { childList: true, subtree: true, attributeFilter: ["data-running", "data-announcement"] });
})();
