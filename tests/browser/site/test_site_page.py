"""The page of the site of static files: what it does with the visitor's code, with what fails, and without a mouse."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page, Route, expect

from tests.browser.static_site import CODE, Site, needs_runtime, open_site, run, set_parameters, write

pytestmark = needs_runtime


@contextmanager
def new_page(chromium: Browser, **options: Any) -> Iterator[Page]:
    """A page of a visitor who comes for the first time, and whose requests can be held or refused."""
    context = chromium.new_context(service_workers="block", **options)
    yield context.new_page()
    context.close()


@pytest.fixture
def loading(chromium: Browser, site: Site) -> Iterator[tuple[Page, Callable[[], None]]]:
    """The site whose model is not loaded before ``release``."""
    held: list[Route] = []
    with new_page(chromium) as page:
        page.route("**/model_web.onnx_data", lambda route: held.append(route))
        with page.expect_request("**/model_web.onnx_data"):
            page.goto(site.url)
        yield page, lambda: held[0].continue_()


def test_the_language_changes_the_example_but_not_the_visitors_code(page: Page) -> None:
    page.locator("#example").click()
    page.locator("#language").select_option("java")
    expect(page.locator("#code")).to_have_value(re.compile("class BenchResult {"))
    set_parameters(page, max_new_tokens="4")
    run(page)  # still the example
    page.locator("#language").select_option("javascript")
    expect(page.locator("#code")).to_have_value(re.compile("^function map"))
    page.locator("#code").fill("int mine = ")
    page.locator("#language").select_option("python")
    expect(page.locator("#code")).to_have_value("int mine = ")


def test_each_tab_keeps_its_code_and_what_was_written(page: Page) -> None:
    set_parameters(page, max_new_tokens="8", temperature="0")
    write(page, "complete", CODE)
    written = run(page)
    page.locator("#tab-complete").press("ArrowRight")
    expect(page.locator("#code")).to_have_value(re.compile("^def _rich_display_name"))  # the example
    page.locator("#code").fill("x = <FILL_HERE>\n")
    page.locator("#tab-infill").press("ArrowLeft")
    expect(page.locator("#code")).to_have_value(written)
    expect(page.locator("#status")).to_contain_text("seed")
    page.locator("#undo").click()
    expect(page.locator("#code")).to_have_value(CODE)
    page.locator("#tab-infill").click()
    expect(page.locator("#code")).to_have_value("x = <FILL_HERE>\n")
    expect(page.locator("#undo")).to_be_disabled()


def test_only_the_beginning_and_the_end_of_a_run_are_announced(page: Page) -> None:
    set_parameters(page, max_new_tokens="96", temperature="1.5", stop_at="none")
    write(page, "complete", CODE)
    page.locator("#status").evaluate(
        """(status) => {
          window.said = [];
          new MutationObserver(() => said.push(status.textContent)).observe(status, { childList: true });
        }"""
    )
    run(page)
    *before, end = page.evaluate("said")
    assert "seed" in end and before and not any("tokens" in sentence for sentence in before)


def test_the_prompt_is_read_until_the_first_token_comes(chromium: Browser, site: Site) -> None:
    """For each of the worker's messages, the number of new tokens, and what the page said before it."""
    watched = """
        window.messages = [];
        window.Worker = class extends Worker {
          constructor(...given) {
            super(...given);
            this.addEventListener("message", ({ data }) => {
              const said = document.querySelector("#status").textContent;
              if (data.type === "event") messages.push([data.tokens.length, said]);
            });
          }
        };
    """
    with new_page(chromium) as page:
        page.add_init_script(watched)
        open_site(page, site)
        set_parameters(page, max_new_tokens="4", temperature="0", stop_at="none")
        write(page, "complete", CODE)
        run(page)
        messages = page.evaluate("messages")
        first = next(index for index, (n_tokens, _) in enumerate(messages) if n_tokens)
        assert first > 1 and {said for _, said in messages[: first + 1]} == {"Reading the prompt…"}
        assert messages[first + 1][1] == "Writing…"


def test_at_temperature_0_a_single_candidate_is_written(page: Page) -> None:
    set_parameters(page, n="3", max_new_tokens="4", temperature="0")
    write(page, "complete", CODE)
    run(page)
    set_parameters(page, n="1")
    expect(page.locator("#status")).to_have_text(re.compile(r"nano@main\. At temperature 0 .* one was generated\.$"))
    expect(page.locator("#candidates")).to_be_hidden()


def test_any_value_in_its_range_is_taken_and_no_seed_beyond_it(page: Page) -> None:
    set_parameters(page, max_new_tokens="1", temperature="0.33", top_p="0.777", repetition_penalty="1.01")
    write(page, "complete", CODE)
    set_parameters(page, seed="4294967295")
    run(page)
    expect(page.locator("#status")).to_contain_text("seed 4294967295")
    set_parameters(page, seed="9999999999")
    page.locator("#run").click()
    expect(page.locator("#failure")).to_have_text("Seed: the largest is 4294967295")
    set_parameters(page, seed="", top_p="0.95", repetition_penalty="1")


def test_a_link_brings_its_stop_sequences(page: Page) -> None:
    set_parameters(page, max_new_tokens="24", temperature="0", stop_at="none")
    write(page, "complete", CODE)
    written = run(page).removeprefix(CODE)
    stop = written[12:16]
    state = {"pane": "complete", "model": "santacoder/nano@main", "language": "python", "code": CODE}
    state |= {"parameters": {"stop": "never here\n" + stop.replace("\n", "\\n")}}  # as the server's page writes it
    page.evaluate("async (state) => (location.hash = await (await import('./permalink.js')).toFragment(state))", state)
    expect(page.locator("#status")).to_contain_text("is ready")
    assert run(page) == CODE + written[: written.index(stop)]
    set_parameters(page, stop_sequences="")


def test_alternatives_are_chosen_with_the_keyboard(page: Page) -> None:
    set_parameters(page, max_new_tokens="8", temperature="0")
    write(page, "complete", CODE)
    written = run(page)
    code, choices = page.locator("#code"), page.locator(".alternatives button")
    for leave in ("Escape", "Enter"):
        code.evaluate("(area, at) => area.setSelectionRange(at, at)", len(CODE) + 1)
        code.press("Alt+Enter")
        expect(choices.first).to_be_focused()
        page.keyboard.press("Tab")
        expect(choices.nth(1)).to_be_focused()
        page.keyboard.press(leave)
        expect(code).to_be_focused()
        if leave == "Escape":
            page.keyboard.press("Tab")  # leaves the editor, as the page says
            expect(code).not_to_be_focused()
            expect(code).to_have_value(written)
    expect(page.locator("#which")).to_have_text("2 of 2")


def test_the_progress_of_a_download_does_not_hide_an_error(loading: tuple[Page, Callable[[], None]]) -> None:
    page, release = loading
    expect(page.locator("#figures")).to_contain_text("MB loaded")
    write(page, "infill", "x = 1\n")
    page.locator("#run").click()
    expect(page.locator("#failure")).to_contain_text("Mark the gap")
    release()
    expect(page.locator("#figures")).to_have_text("")
    expect(page.locator("#failure")).to_contain_text("Mark the gap")


def test_stop_and_another_text_end_the_wait_for_a_model(loading: tuple[Page, Callable[[], None]]) -> None:
    page, release = loading
    for leave in ("stop", "example"):
        page.locator("#code").fill(CODE)
        page.locator("#run").click()
        expect(page.locator("#code")).not_to_be_editable()
        page.locator(f"#{leave}").click()
        expect(page.locator("#run")).to_be_enabled()
        expect(page.locator("#code")).to_be_editable()
        expect(page.locator("#status")).to_have_text("Stopped." if leave == "stop" else "")
    release()
    expect(page.locator("#status")).to_contain_text("is ready")


def test_try_again_runs_the_code_of_that_moment(chromium: Browser, site: Site) -> None:
    with new_page(chromium) as page:
        page.route("**/model_web.onnx_data", lambda route: route.abort())
        page.goto(site.url)
        expect(page.locator("#failure")).to_contain_text("cannot be downloaded")
        page.locator("#code").fill("x = 1\n")
        page.locator("#run").click()
        expect(page.locator("#failure")).to_contain_text("cannot be downloaded")
        page.locator("#code").fill("y = 2\n")
        page.unroute("**/model_web.onnx_data")
        page.get_by_role("button", name="Try again").click()
        expect(page.locator("#status")).to_contain_text("seed")
        assert page.locator("#code").input_value().startswith("y = 2\n")


def test_run_and_link_wait_for_the_list_of_models(chromium: Browser, site: Site) -> None:
    with new_page(chromium) as page:
        errors: list[Error] = []
        page.on("pageerror", lambda error: errors.append(error))
        held: list[Route] = []
        page.route("**/models.json", lambda route: held.append(route))
        with page.expect_request("**/models.json"):
            page.goto(site.url)
        page.locator("#code").fill(CODE)
        page.locator("#code").press("Control+Enter")
        page.evaluate("location.hash = 'x'")
        expect(page.locator("#run")).to_be_disabled()
        expect(page.locator("#link")).to_be_disabled()
        assert not errors
        held[0].continue_()
        expect(page.locator("#run")).to_be_enabled()
        expect(page.locator("#link")).to_be_enabled()
        expect(page.locator("#code")).to_have_value(CODE)


def test_without_a_clipboard_the_page_says_so(chromium: Browser, site: Site) -> None:
    with new_page(chromium) as page:
        page.add_init_script("delete Navigator.prototype.clipboard")  # as at http://192.168.…
        open_site(page, site)
        page.locator("#copy").click()
        expect(page.locator("#failure")).to_contain_text("does not allow copying")
        page.locator("#link").click()
        expect(page.locator("#status")).to_contain_text("The link is in the address bar")


def test_a_runtime_that_cannot_start_is_told_in_a_sentence(chromium: Browser, site: Site) -> None:
    with new_page(chromium) as page:
        page.route("**/*.wasm", lambda route: route.abort())
        page.goto(site.url)
        expect(page.locator("#failure")).to_have_text(re.compile(r"^The model cannot be opened: .*\. Try again$"))


def test_a_phone_shows_long_names_and_does_not_zoom_in(chromium: Browser, site: Site) -> None:
    with new_page(chromium, viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True) as page:
        page.goto(f"{site.url}#damaged")
        expect(page.locator("#status")).to_have_text(re.compile(r"^The link is damaged, .* is ready\. Press Run\.$"))
        page.locator("#model").evaluate("(select) => select.add(new Option('someone/' + 'model'.repeat(20)))")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.locator("#parameters summary").tap()
        sizes = "(fields) => fields.map((field) => parseFloat(getComputedStyle(field).fontSize))"
        assert min(page.locator("select, input, textarea, #editor pre").evaluate_all(sizes)) == 16
