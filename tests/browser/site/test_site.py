"""The site of static files, in a real Chromium: the model runs in the page, without a server."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from export.web_runner import WebRunner
from santacoder import checkpoints
from santacoder.config import SantaCoderConfig
from santacoder.engine.accumulator import Accumulator
from santacoder.engine.engine import Engine
from santacoder.engine.gap_order import automatic_order
from santacoder.engine.request import CompletionRequest
from santacoder.engine.token_healing import is_on_by_default
from santacoder.sampling import SamplingParams
from tests.browser.firefox import FIREFOX, firefox_tab
from tests.browser.static_site import CODE, Site, needs_runtime, open_site, run, set_parameters, write
from tests.browser.test_accessibility import serious_problems

pytestmark = needs_runtime
WITH_GAP = "def find(values, name):\n    try:\n        return values[name]<FILL_HERE>\n        return None\n"
WITH_GAPS = "def area(width, height):\n    return <FILL_HERE>\n\n\nprint(area(<FILL_HERE>))\n"


def of_python(site: Site, parts: tuple[str, ...], sampling: SamplingParams) -> str:
    """What the server's engine writes between ``parts``, or after the only one, with the same graph, parameters and
    seed."""
    snapshot = checkpoints.resolve("santacoder/nano", "main", download=False)
    model, tokenizer = checkpoints.load("santacoder/nano", "main")
    graph = site.folder / "models" / "santacoder--nano" / snapshot.name / "model_web.onnx"
    engine = Engine(WebRunner(graph, model.config), tokenizer)
    recorded = checkpoints.read_fim_order(snapshot)
    code = parts[0]
    for gap in range(max(1, len(parts) - 1)):
        suffix = "".join(parts[gap + 1 :]) if len(parts) > 1 else None
        healed = replace(sampling, token_healing=is_on_by_default(parts[gap], suffix))
        order = automatic_order(parts[0], parts[1], recorded) if len(parts) > 1 else "psm"
        is_gap = suffix is not None
        request = CompletionRequest(code, suffix, healed, fim_order=order, fit_gap=is_gap, language="python")
        accumulator = Accumulator(tokenizer)
        for event in engine.submit(request):
            accumulator.add(event)
        code += accumulator.text + "".join(parts[gap + 1 : gap + 2])
    engine.close()
    return code


def test_the_shape_is_written_whatever_the_format_calls_it(site: Site) -> None:
    for branch in ("main", "mha"):
        snapshot = checkpoints.resolve("santacoder/nano", branch, download=False)
        written = json.loads((site.folder / "models" / "santacoder--nano" / snapshot.name / "config.json").read_text())
        assert SantaCoderConfig(**written) == checkpoints.read_config(snapshot)


def test_the_same_text_as_the_server(page: Page, site: Site) -> None:
    sampling = SamplingParams(max_new_tokens=48, temperature=0.8, seed=7, stop_at="function", stop_repetition=True)
    set_parameters(page, max_new_tokens="48", temperature="0.8", seed="7")
    write(page, "complete", CODE)
    assert run(page) == of_python(site, (CODE,), sampling)
    in_gap = SamplingParams(max_new_tokens=48, temperature=0.8, seed=7, stop_repetition=True)
    for code in (WITH_GAP, WITH_GAPS):
        write(page, "infill", code)
        assert run(page) == of_python(site, tuple(code.split("<FILL_HERE>")), in_gap)
        page.locator("#undo").click()
        assert page.locator("#code").input_value() == code


@pytest.mark.slow
def test_the_same_text_with_threads(chromium: Browser, site: Site) -> None:
    """A host that isolates the page from other origins lets the runtime use threads, on half of the processors."""
    site.headers.update({"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"})
    context = chromium.new_context()
    page = context.new_page()
    try:
        page.add_init_script("Object.defineProperty(navigator, 'hardwareConcurrency', { get: () => 4 })")
        open_site(page, site)
        assert page.evaluate("crossOriginIsolated")
        set_parameters(page, max_new_tokens="24", temperature="0")
        write(page, "complete", CODE)
        sampling = SamplingParams(max_new_tokens=24, temperature=0.0, stop_at="function", stop_repetition=True)
        assert run(page) == of_python(site, (CODE,), sampling)
        expect(page.locator("#status")).to_contain_text("2 threads")
    finally:
        site.headers.clear()
        context.close()


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
    expect(page.locator("#which")).to_have_text("2 of 2")
    page.locator("#previous").click()
    assert page.locator("#code").input_value() == written


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


def test_what_is_left_while_it_is_written_does_not_come_back(page: Page) -> None:
    set_parameters(page, max_new_tokens="512", temperature="1.5", stop_at="none")
    for leave in ("example", "tab-infill"):
        write(page, "complete", f"# mine\n{CODE}")
        page.locator("#run").click()
        page.locator("#run").dispatch_event("click")  # a second press changes nothing
        expect(page.locator("#editor [data-heat]").nth(3)).to_be_attached()
        page.locator(f"#{leave}").click()
        expect(page.locator("#run")).to_be_enabled()
        assert "# mine" not in page.locator("#code").input_value()
    write(page, "complete", CODE)
    # before the model has answered
    page.evaluate("() => { document.all.run.click(); setTimeout(() => document.all.stop.click()); }")
    expect(page.locator("#status")).to_contain_text("stopped")
    expect(page.locator("#run")).to_be_enabled()
    assert len(page.locator("#code").input_value()) < len(CODE) + 60


def test_unusual_texts_are_answered_in_sentences(page: Page) -> None:
    for code, sentence in (
        ("", "There is no code to start from"),
        ("x = '\0'", "has a NUL character"),
        ("x = '\ud800'", "lone surrogate"),
        ("<FILL_HERE>" * 10, "at most 8 can be filled"),
    ):
        page.locator("#tab-infill" if "FILL" in code else "#tab-complete").click()
        page.locator("#code").evaluate(
            "(area, units) => { area.value = String.fromCharCode(...units); area.dispatchEvent(new Event('input')); }",
            [ord(character) for character in code],
        )
        page.locator("#run").click()
        expect(page.locator("#failure")).to_contain_text(sentence)
        expect(page.locator("#run")).to_be_enabled()
    write(page, "complete", CODE)
    set_parameters(page, top_p="")
    page.locator("#run").click()
    expect(page.locator("#failure")).to_contain_text("Top-p")
    set_parameters(page, top_p="0.95")


@pytest.mark.slow
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
    hostile = {
        "code": "<img src=x onerror=alert(1)>",
        "pane": "constructor",
        "model": "<b>none</b>",
        "language": 3,
        "parameters": {"stop_at": "never", "n": [], "temperature": "1e999", "code": "x"},
    }
    fragment = other.evaluate("async (state) => (await import('./permalink.js')).toFragment(state)", hostile)
    other.goto(f"{site.url}#{fragment}")
    expect(other.locator("#status")).to_contain_text("The link is for <b>none</b>, which this site does not have")
    assert other.locator("#code").input_value() == hostile["code"] and other.locator("img[src=x]").count() == 0
    other.locator("#run").click()
    expect(other.locator("#failure")).to_contain_text("Candidates")
    too_long = "async () => (await import('./permalink.js')).toFragment({ code: 'x'.repeat(300_000) })"
    assert other.evaluate(too_long) is None
    other.close()


@pytest.mark.slow
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


@pytest.mark.slow
def test_what_arrives_damaged_is_said_and_loaded_again(chromium: Browser, site: Site) -> None:
    page = chromium.new_page()
    site.damaged.add("model_web.onnx_data")
    page.goto(site.url)
    expect(page.locator("#failure")).to_contain_text("model_web.onnx_data arrived damaged")
    site.damaged.clear()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#status")).to_contain_text("is ready")
    page.close()


@pytest.mark.slow
def test_it_writes_on_a_phone(chromium: Browser, site: Site) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    page = context.new_page()
    context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 4})
    open_site(page, site)
    set_parameters(page, max_new_tokens="8")
    page.locator("#code").fill(CODE)
    page.locator("#run").tap()
    expect(page.locator("#status")).to_contain_text("seed")
    assert page.locator("#code").input_value().startswith(CODE)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    context.close()


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


@pytest.mark.slow
@pytest.mark.skipif(not FIREFOX, reason="there is no Firefox on this machine; make slow installs one where it can")
def test_the_same_text_in_firefox(site: Site, tmp_path: Path) -> None:
    code = "def area(width, height):\n    return "
    with firefox_tab(tmp_path) as tab:
        tab.open(site.url)
        tab.until("document.querySelector('#status').textContent.includes('is ready')")
        for name, value in {"code": code, "temperature": "0", "max_new_tokens": "24"}.items():
            tab.evaluate(f"document.querySelector('#{name}').value = {json.dumps(value)}")
        tab.evaluate("document.querySelector('#run').click() ?? null")
        tab.until("document.querySelector('#status').textContent.includes('seed')")
        written = tab.evaluate("document.querySelector('#code').value")
    sampling = SamplingParams(max_new_tokens=24, temperature=0, stop_at="function", stop_repetition=True)
    assert written == of_python(site, (code,), sampling) != code
