"""Time until the page is usable, what moves meanwhile, and how fast it answers while text streams, in a real browser
with a real server and an empty cache.

    python -m benchmarks.page_load [--runs 7] [--width 390] [--slower 4] [--model santacoder/mini]

``--width 390 --slower 4`` is Lighthouse's phone profile: a phone's width, and a processor that takes four times as
long. Measures

- first contentful paint;
- usable: the editor is drawn, and Run can be pressed;
- time to interactive as Lighthouse defines it: the end of the last long task (over 50 ms) before five quiet seconds,
  but not before the page is usable;
- processor time of the page's main thread up to then, which another program on the machine hardly changes;
- cumulative layout shift as Chrome defines it: the largest sum of shifts in five seconds without a pause of one;
- interaction to next paint while text streams: the longest of some clicks and keys, from the input to the next frame.

With ``--shifts``, it also prints what moved. Needs requirements-test.lock and a Chromium.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass

from playwright.sync_api import Browser, CDPSession, Page

from benchmarks.page import chromium, serving

_HEIGHTS = {390: 844, 1024: 768, 1440: 900}
_QUIET_MS = 5000
# runs in the page before its own scripts
WATCH = """
window.lastLongTask = 0;
window.shifts = [];
window.interactions = [];
const watch = (type, see, options = {}) =>
  new PerformanceObserver((list) => list.getEntries().forEach(see)).observe({ type, buffered: true, ...options });
watch("longtask", (task) => (window.lastLongTask = Math.max(window.lastLongTask, task.startTime + task.duration)));
const keep = (event) => event.interactionId && interactions.push([event.name, event.duration]);
watch("event", keep, { durationThreshold: 16 });
const nameOf = (node) => {
  const element = node?.nodeType === Node.TEXT_NODE ? node.parentElement : node;
  if (!element) return "gone";
  return [element.localName + (element.id ? `#${element.id}` : ""), ...[...element.classList].slice(0, 2)].join(".");
};
watch("layout-shift", (shift) => {
  if (shift.hadRecentInput) return;
  shifts.push([shift.startTime, shift.value, shift.sources.map(({ node }) => nameOf(node))]);
});
const look = () => {
  const run = document.querySelector("#complete-run");
  const isDrawn = run && !run.disabled && document.querySelector("#complete-editor .cm-content");
  if (isDrawn && getComputedStyle(run).visibility === "visible") window.usable = performance.now();
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
# what is pressed while text streams: none of it waits for the server
_PRESSED = ("#complete-confidence input", "#parameters .label-wrap") * 3


@dataclass(frozen=True)
class Profile:
    """The window's width in pixels, and how many times as long the processor takes."""

    width: int
    slower: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7, help="measured page loads (default: 7)")
    parser.add_argument("--width", type=int, default=1440, choices=_HEIGHTS, help="of the window (default: 1440)")
    parser.add_argument("--slower", type=float, default=1, help="times as long the processor takes (default: 1)")
    parser.add_argument("--shifts", action="store_true", help="also print what moved in the last load")
    parser.add_argument("--model", default="santacoder/mini", help="model to serve (default: santacoder/mini)")
    args = parser.parse_args()
    profile = Profile(args.width, args.slower)
    with serving(args.model) as url, chromium() as browser:
        results = [measure(browser, url, profile) for _ in range(args.runs + 1)][1:]
    loads = [load for load, _ in results]
    print("| | median | worst |\n|---|---|---|")
    for name in loads[0]:
        values = [load[name] for load in loads]
        digits = 3 if "shift" in name else 0
        print(f"| {name} | {statistics.median(values):,.{digits}f} | {max(values):,.{digits}f} |")
    if args.shifts:
        for at, value, moved in results[-1][1]:
            print(f"{at:.0f} ms: {value:.4f} {', '.join(moved)}")


def measure(
    browser: Browser, url: str, profile: Profile
) -> tuple[dict[str, float], list[tuple[float, float, list[str]]]]:
    """Load the page once as a new visitor, and use it while text streams. The second value has each layout shift: its
    time in ms, its value, and what moved."""
    context = browser.new_context(viewport={"width": profile.width, "height": _HEIGHTS[profile.width]})
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    session.send("Emulation.setCPUThrottlingRate", {"rate": profile.slower})
    page.add_init_script(WATCH)
    page.goto(url)
    page.wait_for_function(
        f"window.usable && performance.now() - Math.max(window.usable, window.lastLongTask) > {_QUIET_MS}",
        timeout=120_000,
    )
    load: dict[str, float] = page.evaluate(
        """() => {
          const resources = performance.getEntriesByType("resource");
          return {
            "first contentful paint, ms": performance.getEntriesByName("first-contentful-paint")[0].startTime,
            "usable, ms": window.usable,
            "time to interactive, ms": Math.max(window.usable, window.lastLongTask),
            "requests": resources.length + 1,
            "transferred, KB": resources.reduce((sum, each) => sum + each.transferSize, 0) / 1024,
          };
        }"""
    )
    load["processor time of the main thread, ms"] = _processor_ms(session)
    shifts: list[tuple[float, float, list[str]]] = page.evaluate("shifts")
    load["cumulative layout shift"] = _cumulative([(at, value) for at, value, _ in shifts])
    load["interaction to next paint while streaming, ms"] = _longest_interaction(page)
    context.close()
    return load, shifts


def _processor_ms(session: CDPSession) -> float:
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    return 1000 * float(metrics["TaskDuration"])


def _cumulative(shifts: list[tuple[float, float]]) -> float:
    """The largest sum of a session window (web.dev/articles/cls)."""
    largest = total = 0.0
    begin = last = float("-inf")
    for at, value in shifts:
        if at - last > 1000 or at - begin > 5000:
            begin, total = at, 0.0
        last, total = at, total + value
        largest = max(largest, total)
    return largest


def _longest_interaction(page: Page) -> float:
    """The longest interaction while the Complete pane writes."""
    if not page.locator("#candidates").is_visible():
        page.get_by_role("button", name="Parameters").click()
    page.get_by_label("number input for Maximum length").fill("512")
    page.locator("#advanced > button").click()
    page.locator("#stop-at input").click()
    page.get_by_role("option", name="nothing (never stop early)").click()
    page.get_by_label("Stop repetitions").uncheck()
    page.locator("#complete-run").click()
    page.wait_for_selector("#complete-status [data-running=true]", state="attached")
    page.evaluate("interactions.length = 0")
    pressed = 0
    for selector in _PRESSED:
        if not page.locator("#complete-stop").is_enabled():
            break
        page.locator(selector).first.click()
        page.keyboard.press("Shift")
        pressed += 1
    if not pressed:
        raise RuntimeError("The text had ended before anything was pressed.")
    page.wait_for_timeout(500)
    return float(page.evaluate("Math.max(0, ...interactions.map(([, duration]) => duration))"))


if __name__ == "__main__":
    main()
