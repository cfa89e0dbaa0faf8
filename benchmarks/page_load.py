"""Time until the page is usable, in a real browser with a real server and an empty cache.

    python -m benchmarks.page_load [--runs 7] [--model santacoder/mini]

Measures first contentful paint, and time to interactive as Lighthouse defines it: the end of the last long task (over
50 ms) before five quiet seconds, but not before Run is enabled. Needs requirements-test.lock and a Chromium.
"""

from __future__ import annotations

import argparse
import statistics

from playwright.sync_api import Browser

from benchmarks.page import chromium, serving

_QUIET_MS = 5000
# runs in the page before its own scripts
WATCH = """
window.lastLongTask = 0;
new PerformanceObserver((list) => {
  for (const task of list.getEntries()) {
    window.lastLongTask = Math.max(window.lastLongTask, task.startTime + task.duration);
  }
}).observe({ type: "longtask", buffered: true });
const look = () => {
  const run = document.querySelector("#complete-run");
  if (run && !run.disabled && document.querySelector("#complete-editor .cm-content")) window.usable = performance.now();
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7, help="measured page loads (default: 7)")
    parser.add_argument("--model", default="santacoder/mini", help="model to serve (default: santacoder/mini)")
    args = parser.parse_args()
    with serving(args.model) as url, chromium() as browser:
        loads = [measure(browser, url) for _ in range(args.runs + 1)][1:]
    print("| | median | worst |\n|---|---|---|")
    for name in loads[0]:
        values = [load[name] for load in loads]
        print(f"| {name} | {statistics.median(values):,.0f} | {max(values):,.0f} |")


def measure(browser: Browser, url: str) -> dict[str, float]:
    """Load the page once as a new visitor."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.add_init_script(WATCH)
    page.goto(url)
    page.wait_for_function(
        f"window.usable && performance.now() - Math.max(window.usable, window.lastLongTask) > {_QUIET_MS}",
        timeout=60_000,
    )
    result: dict[str, float] = page.evaluate(
        """() => {
          const resources = performance.getEntriesByType("resource");
          return {
            "first contentful paint, ms": performance.getEntriesByName("first-contentful-paint")[0].startTime,
            "time to interactive, ms": Math.max(window.usable, window.lastLongTask),
            "requests": resources.length + 1,
            "transferred, KB": resources.reduce((sum, each) => sum + each.transferSize, 0) / 1024,
          };
        }"""
    )
    context.close()
    return result


if __name__ == "__main__":
    main()
