"""The site of static files, in a real Chromium: the model runs in the page, without a server."""

from __future__ import annotations

import functools
import http.server
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from export.site import runtime_is_installed, write_site
from santacoder import checkpoints
from santacoder.config import SantaCoderConfig
from santacoder.engine.accumulator import Accumulator
from santacoder.engine.engine import Engine
from santacoder.engine.gap_start import suits_suffix_first
from santacoder.engine.onnx.runner import OnnxRunner
from santacoder.engine.request import CompletionRequest
from santacoder.engine.token_healing import is_on_by_default
from santacoder.fim import FimOrder
from santacoder.sampling import SamplingParams
from tests.browser.test_accessibility import serious_problems

pytestmark = pytest.mark.skipif(
    not runtime_is_installed(), reason="ONNX Runtime for browsers is not installed; make test does so where it can"
)
CODE = "class Point:\n    def __init__(self, x, y):\n        self._x = x\n"
WITH_GAP = "def find(values, name):\n    try:\n        return values[name]<FILL_HERE>\n        return None\n"


@dataclass
class Site:
    """A site and its server. The paths in ``damaged`` are served with other contents."""

    url: str
    folder: Path
    damaged: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site") / "deep" / "site"
    write_site(folder, ["santacoder/nano", "santacoder/nano@mha"], checkpoints.DEFAULT_STORE)
    damaged: set[str] = set()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if Path(self.path).name in damaged:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"<html>Please log in to this network.</html>")
            else:
                super().do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    handler = functools.partial(Handler, directory=str(folder.parents[1]))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Site(f"http://127.0.0.1:{server.server_port}/deep/site/", folder, damaged)
        server.shutdown()


@pytest.fixture(scope="module")
def visitor(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    yield context
    context.close()


@pytest.fixture(scope="module")
def page(visitor: BrowserContext, site: Site) -> Iterator[Page]:
    """The site in a page, in which no script fails, and which asks no other host."""
    page = visitor.new_page()
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on("console", lambda message: message.type == "error" and failures.append(message.text))
    page.on("request", lambda request: request.url.startswith(site.url) or failures.append(request.url))
    open_site(page, site)
    yield page
    assert not failures


def open_site(page: Page, site: Site) -> None:
    page.goto(site.url)
    expect(page.locator("#status")).to_contain_text("is ready")


def set_parameters(page: Page, **values: str) -> None:
    page.locator("#parameters").evaluate("(details) => (details.open = true)")
    for name, value in values.items():
        if name == "stop_at":
            page.locator("#stop_at").select_option(value)
        else:
            page.locator(f"#{name}").fill(value)


def write(page: Page, pane: str, code: str) -> None:
    page.locator(f"#tab-{pane}").click()
    page.locator("#code").fill(code)


def run(page: Page) -> str:
    page.locator("#run").click()  # clears the status
    expect(page.locator("#status")).to_contain_text("seed")
    return page.locator("#code").input_value()


def of_python(site: Site, prefix: str, suffix: str | None, sampling: SamplingParams) -> str:
    """What the server's engine writes with the same graph, parameters and seed."""
    snapshot = checkpoints.resolve("santacoder/nano", "main", download=False)
    model, tokenizer = checkpoints.load("santacoder/nano", "main")
    graph = site.folder / "models" / "santacoder--nano" / snapshot.name / "model_web.onnx"
    engine = Engine(OnnxRunner(graph, model.config), tokenizer)
    sampling = replace(sampling, token_healing=is_on_by_default(prefix, suffix))
    order: FimOrder = "spm" if suffix is not None and suits_suffix_first(prefix, suffix) else "psm"
    is_gap = suffix is not None
    request = CompletionRequest(prefix, suffix, sampling, fim_order=order, fit_gap=is_gap, language="python")
    accumulator = Accumulator(tokenizer)
    for event in engine.submit(request):
        accumulator.add(event)
    engine.close()
    return prefix + accumulator.text + (suffix or "")


def test_the_shape_is_written_whatever_the_format_calls_it(site: Site) -> None:
    for branch in ("main", "mha"):
        snapshot = checkpoints.resolve("santacoder/nano", branch, download=False)
        written = json.loads((site.folder / "models" / "santacoder--nano" / snapshot.name / "config.json").read_text())
        assert SantaCoderConfig(**written) == checkpoints.read_config(snapshot)


def test_the_same_text_as_the_server(page: Page, site: Site) -> None:
    sampling = SamplingParams(max_new_tokens=48, temperature=0.8, seed=7, stop_at="block", stop_repetition=True)
    set_parameters(page, max_new_tokens="48", temperature="0.8", seed="7")
    write(page, "complete", CODE)
    assert run(page) == of_python(site, CODE, None, sampling)
    write(page, "infill", WITH_GAP)
    prefix, suffix = WITH_GAP.split("<FILL_HERE>")
    in_gap = SamplingParams(max_new_tokens=48, temperature=0.8, seed=7, stop_repetition=True)
    assert run(page) == of_python(site, prefix, suffix, in_gap)
    page.locator("#undo").click()
    assert page.locator("#code").input_value() == WITH_GAP


def test_confidence_and_another_token(page: Page) -> None:
    set_parameters(page, max_new_tokens="16", temperature="0", seed="", stop_at="none")
    write(page, "complete", CODE)
    written = run(page)
    expect(page.locator("#editor [data-heat]").first).to_be_attached()
    page.locator("#code").evaluate("(area, at) => { area.setSelectionRange(at, at); area.click(); }", len(CODE) + 1)
    choices = page.locator(".alternatives button")
    expect(choices.first).to_be_visible()
    assert serious_problems(page) == []
    other = choices.last.inner_text().split("% ")[1].replace("·", " ").replace("⏎", "\n").replace("→", "\t")
    assert not written.startswith(CODE + other)
    choices.last.click()
    expect(page.locator("#code")).to_have_value(re.compile(re.escape(CODE + other)))
    expect(page.locator("#status")).to_contain_text("seed")


def test_stop_keeps_what_was_written_and_candidates_differ(page: Page) -> None:
    set_parameters(page, max_new_tokens="512", temperature="1.5", seed="1", stop_at="none", n="2")
    write(page, "complete", CODE)
    page.locator("#run").click()
    expect(page.locator("#editor [data-heat]").nth(3)).to_be_attached()
    page.locator("#stop").click()
    expect(page.locator("#status")).to_contain_text("stopped")
    kept = page.locator("#code").input_value()
    assert kept.startswith(CODE) and len(kept) > len(CODE)
    set_parameters(page, max_new_tokens="8")
    first = run(page)
    expect(page.locator("#which")).to_have_text("1 of 2")
    page.locator("#next").click()
    assert page.locator("#code").input_value() != first
    set_parameters(page, n="1")


def test_a_link_brings_everything_back(page: Page, visitor: BrowserContext, site: Site) -> None:
    set_parameters(page, max_new_tokens="12", temperature="0.9", seed="3")
    page.locator("#model").select_option("santacoder/nano@mha")
    expect(page.locator("#status")).to_contain_text("santacoder/nano@mha is ready")
    write(page, "infill", "x = 'ä😀'\n<FILL_HERE>\nprint(x)\n")
    written = run(page)
    page.locator("#link").click()
    expect(page.locator("#status")).to_contain_text("nothing was sent anywhere")
    other = visitor.new_page()
    other.goto(page.url)
    expect(other.locator("#status")).to_contain_text("santacoder/nano@mha is ready")
    assert run(other) == written
    other.goto("about:blank")
    other.goto(f"{site.url}#not-a-link")
    expect(other.locator("#status")).to_contain_text("santacoder/nano@main is ready")
    other.close()


def test_it_works_without_a_network(page: Page, visitor: BrowserContext, site: Site) -> None:
    other = visitor.new_page()
    open_site(other, site)
    expect(other.locator("#status")).to_contain_text("is ready")
    visitor.set_offline(True)
    try:
        other.reload()
        expect(other.locator("#status")).to_contain_text("is ready")
        assert len(run(other)) > 100
    finally:
        visitor.set_offline(False)
        other.close()


def test_what_arrives_damaged_is_said_and_loaded_again(chromium: Browser, site: Site) -> None:
    page = chromium.new_page()
    site.damaged.add("model_web.onnx_data")
    page.goto(site.url)
    expect(page.locator("#failure")).to_contain_text("model_web.onnx_data arrived damaged")
    site.damaged.clear()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#status")).to_contain_text("is ready")
    page.close()


def test_too_little_memory_is_told(chromium: Browser, site: Site) -> None:
    context = chromium.new_context(service_workers="block")
    page = context.new_page()
    no_memory = "WebAssembly.Memory = class { constructor() { throw new RangeError('could not allocate memory'); } };"

    def without_memory(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=f"{no_memory}\n{answer.text()}")

    page.route("**/ort-wasm-simd-threaded.mjs", without_memory)
    page.goto(site.url)
    expect(page.locator("#failure")).to_contain_text("There is too little memory for this model")
    context.close()


def test_a_browser_without_webassembly_is_told(chromium: Browser, site: Site) -> None:
    page = chromium.new_page(viewport={"width": 390, "height": 800}, color_scheme="dark")
    page.add_init_script("delete globalThis.WebAssembly")
    page.goto(site.url)
    expect(page.locator("#failure")).to_contain_text("This browser has no WebAssembly")
    assert serious_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.close()
