"""Time from pressing Run to the first new text on the page, in a real browser with a real server, and the server's
share of it: the time to the first token and the tokens per second that the page reports.

    python -m benchmarks.page_latency [--runs 30] [--model santacoder/mini]

Prints a table and, as the last line, JSON. Needs requirements-test.lock and a Chromium.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics

from playwright.sync_api import Browser, Page

from benchmarks.page import chromium, serving

Times = tuple[float, float, float]
"""Milliseconds to the text on the page and to the first token, and tokens per second."""
# resolves with the milliseconds between the click and the first change of the editor's text
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
  setTimeout(() => reject(new Error("no text appeared within 30 s")), 30000);
  start = performance.now();
  document.querySelector(`#${pane}-run`).click();
})
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=30, help="measured runs per pane (default: 30)")
    parser.add_argument("--model", default="santacoder/mini", help="model to serve (default: santacoder/mini)")
    args = parser.parse_args()
    with serving(args.model) as url, chromium() as browser:
        results = measure(browser, url, args.runs)
    print("| pane | text on the page, median, ms | 95th percentile, ms | first token, median, ms | tokens/s, median |")
    print("|---|---|---|---|---|")
    for pane, times in results.items():
        page, first, speed = (statistics.median(column) for column in zip(*times, strict=True))
        high = statistics.quantiles([seen for seen, _, _ in times], n=20)[-1]
        print(f"| {pane} | {page:.0f} | {high:.0f} | {first:.0f} | {speed:.0f} |")
    print(json.dumps(results))


def measure(browser: Browser, url: str, runs: int) -> dict[str, list[Times]]:
    """The times by pane; the first run of each pane is a warm-up."""
    page = browser.new_page()
    page.goto(url)
    page.wait_for_selector("#complete-run")
    results = {"complete": [run(page, "complete") for _ in range(runs + 1)][1:]}
    page.get_by_role("tab", name="Fill in the middle").click()
    results["infill"] = [run(page, "infill") for _ in range(runs + 1)][1:]
    return results


def run(page: Page, pane: str) -> Times:
    """Measure one run of the example; then Undo restores it, and the page's lookups are awaited."""
    page.wait_for_selector(f"#{pane}-run:not([disabled])")
    elapsed: float = page.evaluate(CLICK_AND_WAIT, pane)
    page.wait_for_selector(f"#{pane}-run:not([disabled])")
    said = page.locator(f"#{pane}-status").text_content() or ""
    first, speed = re.search(r"first token (\d+) ms", said), re.search(r"([\d,]+) tokens/s", said)
    assert first and speed, f"the page does not report the speed: {said}"
    page.locator(f"#{pane}-undo").click()
    page.wait_for_timeout(500)
    return round(elapsed, 1), float(first[1]), float(speed[1].replace(",", ""))


if __name__ == "__main__":
    main()
