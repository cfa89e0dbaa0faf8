// A bar at the top of the page while the server cannot be reached.
(() => {
  const SECONDS = 5;
  const GONE = "Reconnecting… The server cannot be reached; your code is kept in this browser.";
  let missed = 0;
  let isGone = false;

  function bar() {
    let shown = document.querySelector("#unreachable");
    if (!shown) {
      shown = document.createElement("p");
      shown.id = "unreachable";
      shown.setAttribute("role", "alert");
      document.body.prepend(shown);
    }
    return shown;
  }

  async function look() {
    if (document.hidden) return;
    try {
      await fetch("gradio_api/app_id", { cache: "no-store", signal: AbortSignal.timeout(SECONDS * 1000) });
      missed = 0;
    } catch {
      missed += 1;
    }
    // a single failure may be temporary
    const gone = missed > 1;
    if (gone === isGone) return;
    isGone = gone;
    bar().hidden = !gone;
    bar().textContent = gone ? GONE : "";
    const link = gone && (await santacoder.browser.offline().catch(() => null));
    if (link && isGone) bar().append(" ", link);
  }

  addEventListener("offline", () => ((missed = 1), look()));
  setInterval(look, SECONDS * 1000);
})();
