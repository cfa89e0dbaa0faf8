"""Time until the page is usable, what moves meanwhile, and how fast it answers while text streams, in a real browser
with a real server and an empty cache.

    python -m benchmarks.page_load [--runs 7] [--width 390] [--slower 4] [--model santacoder/mini]

``--width 390 --slower 4`` is Lighthouse's phone profile: a phone's width, and a processor that takes four times as
long. Measures

- first contentful paint;
- usable: an editor is drawn, and Run can be pressed. On a phone, that is the first screen, before Gradio's page;
- typed: a key is pressed as soon as the page is usable, and the next frame has its character;
- written: Run is pressed right after that, and a frame has the first text of the model;
- whole page ready: the Complete pane can be used, and its menus are filled. On a phone, in another load, in which the
  whole page is asked for as soon as the first screen is usable;
- time to interactive as Lighthouse defines it: the end of the last long task (over 50 ms) before five quiet seconds,
  but not before the whole page is ready;
- processor time of the page's main thread up to then, which another program on the machine hardly changes;
- cumulative layout shift as Chrome defines it: the largest sum of shifts in five seconds without a pause of one;
- interaction to next paint while text streams: the longest of some clicks and keys, from the input to the next frame.

With ``--shifts``, it also prints what moved. Needs requirements-test.lock and a Chromium.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import Browser, CDPSession, Page

from benchmarks.page import chromium, serving

_HEIGHTS = {390: 844, 1024: 768, 1440: 900}
_QUIET_MS = 5000
_TIMEOUT_MS = 120_000
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
const canBePressed = (selector) => {
  const button = document.querySelector(selector);
  return button && !button.disabled && button.checkVisibility({ visibilityProperty: true });
};
const first = () => document.querySelector("#first:not([hidden]) textarea");
const content = () => document.querySelector("#complete-editor .cm-content");
const look = () => {
  const isFirst = first() && canBePressed("#first .first-run");
  const isWhole = !document.querySelector("#first") && content() && canBePressed("#complete-run");
  if (isFirst || isWhole) window.usable ??= performance.now();
  if (isWhole && "ready" in document.documentElement.dataset) window.whole = performance.now();
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
window.code = () => first()?.value ?? content().cmTile.root.view.state.doc.toString();
// the time of the frame after the first one whose code is as asked for
window.frameWith = (isAsked) => new Promise((resolve) => {
  const wait = () => requestAnimationFrame(isAsked(code()) ? () => resolve(performance.now()) : wait);
  wait();
});
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
    """Load the page twice as a new visitor: once to write at once, once to use the whole page. The second value has
    each layout shift of both: its time in ms, its value, and what moved."""
    load, shifts = _first_use(browser, url, profile)
    with _opened(browser, url, profile) as (page, session):
        page.wait_for_function("window.usable")
        more = page.locator("#first .first-more")
        if more.is_visible():
            more.click()
        page.wait_for_function(
            f"window.whole && performance.now() - Math.max(window.whole, window.lastLongTask) > {_QUIET_MS}",
            timeout=_TIMEOUT_MS,
        )
        load |= page.evaluate(
            """() => {
              const resources = performance.getEntriesByType("resource");
              const [navigation] = performance.getEntriesByType("navigation");
              return {
                "whole page ready, ms": window.whole,
                "time to interactive, ms": Math.max(window.whole, window.lastLongTask),
                "requests": resources.length + 1,
                "transferred, KB": [navigation, ...resources].reduce((sum, each) => sum + each.transferSize, 0) / 1024,
              };
            }"""
        )
        load["processor time of the main thread, ms"] = _processor_ms(session)
        later: list[tuple[float, float, list[str]]] = page.evaluate("shifts")
        load["cumulative layout shift"] = max(
            load["cumulative layout shift"], _cumulative([(at, value) for at, value, _ in later])
        )
        load["interaction to next paint while streaming, ms"] = _longest_interaction(page)
    return load, shifts + later


def _first_use(
    browser: Browser, url: str, profile: Profile
) -> tuple[dict[str, float], list[tuple[float, float, list[str]]]]:
    """Type and press Run as soon as the page is usable, and wait until the whole page has been handed the text."""
    with _opened(browser, url, profile) as (page, _):
        page.wait_for_function("window.usable")
        is_first = page.locator("#first textarea").is_visible()
        page.locator("#first textarea" if is_first else "#complete-editor .cm-content").click()
        page.keyboard.press("Control+End")
        page.evaluate("() => { window.before = code(); window.typed = frameWith((text) => text === `${before} `); }")
        page.keyboard.press("Space")
        load: dict[str, float] = {
            "first contentful paint, ms": page.evaluate(
                "performance.getEntriesByName('first-contentful-paint')[0].startTime"
            ),
            "usable, ms": page.evaluate("window.usable"),
            "typed, ms": page.evaluate("window.typed"),
        }
        page.evaluate("() => { window.written = frameWith((text) => text.trimEnd().length > before.length); }")
        page.locator("#first .first-run" if is_first else "#complete-run").click()
        load["written, ms"] = page.evaluate("window.written")
        page.wait_for_function("window.whole", timeout=_TIMEOUT_MS)
        shifts: list[tuple[float, float, list[str]]] = page.evaluate("shifts")
        load["cumulative layout shift"] = _cumulative([(at, value) for at, value, _ in shifts])
    return load, shifts


@contextmanager
def _opened(browser: Browser, url: str, profile: Profile) -> Iterator[tuple[Page, CDPSession]]:
    """The page of a new visitor, which has begun to load."""
    context = browser.new_context(viewport={"width": profile.width, "height": _HEIGHTS[profile.width]})
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    session.send("Emulation.setCPUThrottlingRate", {"rate": profile.slower})
    page.add_init_script(WATCH)
    page.goto(url, wait_until="commit")
    yield page, session
    context.close()


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
    page.get_by_label("number input for Candidates").fill("8")  # so that they are still written at the last press
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
