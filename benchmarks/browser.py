"""How fast a model writes in the visitor's browser: a site of static files in a real Chromium, on one thread.

    python -m benchmarks.browser [--model santacoder/mini] [--runs 3] [--isolated] [--transformers-js]

Each run is a new visitor with an empty cache. Needs requirements-test.lock, a Chromium, and ``npm ci --prefix web``.
``--isolated`` serves the site with the headers that let the runtime use threads. ``--transformers-js`` also asks
transformers.js with the same weights, prompts and number of tokens, in turn with the site; it needs
``npm ci --ignore-scripts --prefix benchmarks/transformers_js``.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import http.server
import re
import statistics
import sysconfig
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from benchmarks import transformers_js
from benchmarks.page import chromium
from export.site import write_site
from santacoder import checkpoints

_TOKENS = 256
# longer than 512 tokens for the embedded models, which keep about three characters in a token
_FUNCTIONS = [f"def area_{n}(width, height):\n    return width * height * {n}\n\n\n" for n in range(40)]
_TEXT, _LONG_TEXT = "".join(_FUNCTIONS[:10]), "".join(_FUNCTIONS[20:])
_IGNORED = ("models", "vendor")
_ISOLATION = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
_SHORTEST_MS = 16
"""Browsers report no interaction that was painted sooner."""
_OBSERVE = """(shortest) => {
  window.waits = [];
  const keep = (list) => window.waits.push(...list.getEntries().map(({ duration }) => duration));
  new PerformanceObserver(keep).observe({ type: "event", durationThreshold: shortest });
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="santacoder/mini", help="model of the site (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="visitors (default: %(default)s)")
    parser.add_argument("--isolated", action="store_true", help="serve the site isolated from other origins")
    parser.add_argument("--transformers-js", action="store_true", help="ask transformers.js, too")
    args = parser.parse_args()
    if args.transformers_js and not transformers_js.is_installed():
        parser.error("transformers.js is not installed: npm ci --ignore-scripts --prefix benchmarks/transformers_js")
    with tempfile.TemporaryDirectory() as place:
        site = Path(place) / "site"
        write_site(site, [args.model], checkpoints.DEFAULT_STORE)
        own = [path for path in site.rglob("*") if path.is_file() and path.relative_to(site).parts[0] not in _IGNORED]
        size = sum(len(gzip.compress(path.read_bytes())) for path in own)
        other = Path(place) / "other"
        if args.transformers_js:
            other.mkdir()
            transformers_js.write_page(other, args.model)
        visits, others = [], []
        with (
            _serving(site, _ISOLATION if args.isolated else {}) as url,
            _serving(other, {}) as other_url,
            chromium() as browser,
        ):
            for _ in range(args.runs):
                visits.append(_visit(browser, url))
                if args.transformers_js:
                    others.append(_visit_other(browser, other_url))
    print(f"page without model and WASM, gzipped: {size / 1000:.0f} kB")
    _print_table("the site", visits)
    if others:
        _print_table("transformers.js", others)


def _print_table(title: str, visits: list[dict[str, float]]) -> None:
    print(f"\n| {title} | median | worst |\n|---|---|---|")
    for name in visits[0]:
        values = [visit[name] for visit in visits]
        worst = min(values) if name.startswith("tokens/s") else max(values)
        print(f"| {name} | {statistics.median(values):,.1f} | {worst:,.1f} |")


def _visit(browser: Browser, url: str) -> dict[str, float]:
    context = browser.new_context()
    page = context.new_page()
    started = time.perf_counter()
    page.goto(url)
    expect(page.locator("#status")).to_contain_text("is ready", timeout=120_000)
    ready = time.perf_counter() - started
    _set(page, max_new_tokens=str(_TOKENS), temperature="0")
    page.locator("#code").fill(_TEXT)
    page.locator("#stop_at").select_option("none")
    page.locator("#stop_repetition").uncheck()
    _run(page)
    first = time.perf_counter() - started
    _until_the_end(page)
    for _ in range(2):  # the browser compiles the runtime's code again, once it is in use
        page.locator("#code").fill(_TEXT)  # which had been continued
        _run(page)
        status = _until_the_end(page)
    speed = re.search(r"([\d.]+) tokens/s", status)
    assert speed and status.startswith(f"{_TOKENS} tokens"), status
    _set(page, temperature="0.8", seed="1")
    page.locator("#code").fill(_real_code())
    _run(page)
    varied = re.search(r"([\d.]+) tokens/s", _until_the_end(page))
    assert varied
    waited = _longest_wait(page)
    _set(page, max_new_tokens="1", temperature="0")
    page.locator("#code").fill(_LONG_TEXT)
    page.locator("#run").click()
    expect(page.locator("#status")).to_contain_text(re.compile(r"^1 token .*seed"), timeout=120_000)
    status = page.locator("#status").inner_text()
    prefill = re.search(r"first token (\d+) ms", status)
    n_prompt = re.search(r"(\d+) prompt tokens", status)
    assert prefill and n_prompt
    context.close()
    return {
        "first visit to ready, s": ready,
        "first visit to first token, s": first,
        "tokens/s": float(speed[1]),
        "tokens/s at temperature 0.8": float(varied[1]),
        "prompt of 512 tokens, s": float(prefill[1]) / 1000 * 512 / float(n_prompt[1]),
        "longest interaction to next paint while it writes, ms": waited,
    }


def _real_code() -> str:
    """Code that repeats itself little, as does its continuation when sampled, so that few drafts are right."""
    return (Path(sysconfig.get_path("stdlib")) / "contextlib.py").read_text()[:1500]


def _longest_wait(page: Page) -> float:
    """How long the page takes at most to draw what a key does, in ms, while the model writes."""
    _set(page, n="8")
    page.locator("#code").fill(_FUNCTIONS[0])
    page.evaluate(_OBSERVE, _SHORTEST_MS)
    _run(page)
    page.locator("#seed").press_sequentially("1234567890", delay=30)
    for _ in range(10):
        page.locator("#code").press("ArrowLeft")
    assert page.locator("#stop").is_enabled(), "the model had ended before the last key"
    page.locator("#stop").click()
    _until_the_end(page)
    _set(page, n="1")
    return max([*page.evaluate("waits"), _SHORTEST_MS])


def _visit_other(browser: Browser, url: str) -> dict[str, float]:
    context = browser.new_context()
    page = context.new_page()
    page.goto(url)
    ask = "([text, maxNewTokens]) => ask({ text, maxNewTokens })"
    for _ in range(3):
        speed = page.evaluate(ask, [_TEXT, _TOKENS])["tokensPerSecond"]
    prompt = page.evaluate(ask, [_LONG_TEXT, 1])
    context.close()
    return {"tokens/s": speed, "prompt of 512 tokens, s": prompt["firstToken"] / 1000 * 512 / prompt["nPrompt"]}


def _run(page: Page) -> None:
    """Press Run, and wait for the first token."""
    page.locator("#run").click()
    expect(page.locator(".news")).to_contain_text("tokens/s", timeout=120_000)


def _until_the_end(page: Page) -> str:
    expect(page.locator("#status")).to_contain_text("seed", timeout=300_000)
    return page.locator("#status").inner_text()


def _set(page: Page, **values: str) -> None:
    page.locator("#parameters").evaluate("(details) => (details.open = true)")
    for name, value in values.items():
        page.locator(f"#{name}").fill(value)


@contextmanager
def _serving(folder: Path, headers: dict[str, str]) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def end_headers(self) -> None:
            for name, value in headers.items():
                self.send_header(name, value)
            super().end_headers()

        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


if __name__ == "__main__":
    main()
