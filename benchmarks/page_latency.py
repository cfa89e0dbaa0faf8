"""Time from pressing Run to the first new text in the page, in a real browser against a real server.

    python -m benchmarks.page_latency [--runs 30] [--model santacoder/mini]

Prints a table and, as the last line, JSON. Needs requirements-test.txt and a Chromium.
"""

from __future__ import annotations

import argparse
import json
import statistics

from playwright.sync_api import Browser, Page

from benchmarks.page import chromium, serving

# resolves with milliseconds between the click and the first change of the editor's text
CLICK_AND_WAIT = """
(pane) => new Promise((resolve, reject) => {
  const content = document.querySelector(`#${pane}-editor .cm-content`);
  const before = content.innerText;
  let start;
  const observer = new MutationObserver(() => {
    if (content.innerText === before) return;
    observer.disconnect();
    resolve(performance.now() - start);
  });
  observer.observe(content, { childList: true, characterData: true, subtree: true });
  setTimeout(() => reject(new Error("no text came within 30 s")), 30000);
  start = performance.now();
  document.querySelector(`#${pane}-run`).click();
})
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=30, help="measured runs a pane (default: 30)")
    parser.add_argument("--model", default="santacoder/mini", help="model to serve (default: santacoder/mini)")
    args = parser.parse_args()
    with serving(args.model) as url, chromium() as browser:
        results = measure(browser, url, args.runs)
    print("| pane | median, ms | 95th percentile, ms | least, ms |\n|---|---|---|---|")
    for pane, times in results.items():
        high = statistics.quantiles(times, n=20)[-1]
        print(f"| {pane} | {statistics.median(times):.0f} | {high:.0f} | {min(times):.0f} |")
    print(json.dumps({pane: [round(time, 1) for time in times] for pane, times in results.items()}))


def measure(browser: Browser, url: str, runs: int) -> dict[str, list[float]]:
    """Milliseconds to the first text, by pane; one run a pane goes before and is not counted."""
    page = browser.new_page()
    page.goto(url)
    page.wait_for_selector("#complete-run")
    results = {"complete": [run(page, "complete") for _ in range(runs + 1)][1:]}
    page.get_by_role("tab", name="Fill in the middle").click()
    results["infill"] = [run(page, "infill") for _ in range(runs + 1)][1:]
    return results


def run(page: Page, pane: str) -> float:
    """One run from the example; Undo brings it back."""
    page.wait_for_selector(f"#{pane}-run:not([disabled])")
    elapsed: float = page.evaluate(CLICK_AND_WAIT, pane)
    page.wait_for_selector(f"#{pane}-run:not([disabled])")
    page.locator(f"#{pane}-undo").click()
    page.wait_for_timeout(150)
    return elapsed


if __name__ == "__main__":
    main()
