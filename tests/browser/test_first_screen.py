"""The first screen of a phone: it is used before Gradio's page is built, which takes over without losing anything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from app.ui.code_pane.example_code import presets
from tests.browser.conftest import Server, open_pane

PHONE = {"width": 390, "height": 844}
EXAMPLE = next(iter(presets("complete", "python").values()))
VIEW = "document.querySelector('#complete-editor .cm-content').cmTile.root.view"


@pytest.fixture
def phone(chromium: Browser) -> Iterator[Page]:
    """A page of a new visitor with a phone, in which no script may fail or be blocked."""
    context = chromium.new_context(viewport=PHONE)  # type: ignore[arg-type]
    page = context.new_page()
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on(
        "console", lambda message: failures.extend([message.text] if "Content Security Policy" in message.text else [])
    )
    yield page
    context.close()
    assert not failures


def built(page: Page) -> bool:
    return bool(page.evaluate("document.querySelector('gradio-app') !== null"))


def test_the_example_is_run_before_the_page_is_built_and_the_pane_gets_the_run(phone: Page, server: Server) -> None:
    phone.goto(server.url)
    area, run, after = phone.locator("#first textarea"), phone.locator(".first-run"), phone.locator(".first-after")
    expect(area).to_have_value(EXAMPLE)
    expect(after).not_to_be_empty()  # the suggestion
    assert not built(phone)
    area.press("Control+End")
    area.press_sequentially("\n# twice")
    expect(after).to_be_empty()
    area.press("Control+Enter")
    expect(phone.locator(".first-stop")).to_be_enabled()
    assert not built(phone)
    expect(run).to_be_enabled()
    code = area.input_value()
    written = after.text_content()
    assert written and code == f"{EXAMPLE}\n# twice{written}"
    # the pane shows it as its own run, with its tokens, and can undo it; the caret stays where it was
    phone.evaluate("document.querySelector('#first textarea').setSelectionRange(3, 7)")
    expect(phone.locator("#first")).to_have_count(0)
    assert phone.evaluate(f"{VIEW}.state.doc.toString()") == code
    selection = phone.evaluate(f"(({{ anchor, head }}) => [anchor, head])({VIEW}.state.selection.main)")
    assert selection == [3, 7]
    expect(phone.locator("#complete-editor .cm-content")).to_be_focused()
    assert phone.locator("#complete-tokens .token").count() > 0
    expect(phone.locator("#complete-origin-badge .badge")).to_be_attached()
    open_pane(phone, "History", "#complete-details")
    expect(phone.locator("#complete-history li")).to_have_count(1)
    phone.locator("#complete-undo").click()
    phone.wait_for_function(f"(code) => {VIEW}.state.doc.toString() === code", arg=f"{EXAMPLE}\n# twice")
    # what was kept is shown again by the page itself
    phone.reload()
    expect(phone.locator("#first")).to_have_count(0)
    phone.wait_for_selector("#complete-editor .cm-content")
    phone.wait_for_function(f"(code) => {VIEW}.state.doc.toString() === code", arg=f"{EXAMPLE}\n# twice")


def test_a_suggestion_is_accepted_without_a_tab_key(phone: Page, server: Server) -> None:
    phone.goto(server.url)
    area, accept = phone.locator("#first textarea"), phone.locator(".first-accept")
    expect(accept).to_be_visible()
    text = phone.locator(".first-after").text_content()
    accept.click()
    expect(area).to_have_value(f"{EXAMPLE}{text}")
    expect(accept).to_be_hidden()
    expect(phone.locator(".first-status")).to_contain_text("Accepted.")


def test_an_example_that_was_run_is_named_in_the_menu(phone: Page, server: Server) -> None:
    phone.goto(server.url)
    phone.locator(".first-run").click()
    expect(phone.locator("#first")).to_have_count(0)
    expect(phone.locator("#complete-status")).to_contain_text("seed")
    expect(phone.locator("#complete-preset input")).to_have_value(next(iter(presets("complete", "python"))))


def test_what_is_typed_while_the_page_is_built_is_kept(phone: Page, server: Server) -> None:
    phone.goto(server.url)
    phone.locator(".first-more").click()
    area = phone.locator("#first textarea")
    area.fill("def f(x):")
    area.press_sequentially("\n    ret")
    phone.evaluate(
        """() => {
          // a key right before, and one right after the screen has gone
          new MutationObserver((_, observer) => {
            if (!("ready" in document.documentElement.dataset)) return;
            observer.disconnect();
            document.querySelector("#first textarea").setRangeText("urn", 17, 17, "end");
            document.querySelector("#first textarea").dispatchEvent(new Event("input"));
          }).observe(document.documentElement, { attributeFilter: ["data-ready"] });
        }"""
    )
    expect(phone.locator("#first")).to_have_count(0)
    expect(phone.locator("#complete-editor .cm-content")).to_be_focused()
    phone.keyboard.type(" x")
    assert phone.evaluate(f"{VIEW}.state.doc.toString()") == "def f(x):\n    return x"
    assert phone.evaluate("scrollY") == 0


def test_stop_keeps_the_text_and_an_error_is_a_sentence(phone: Page, server: Server) -> None:
    def refuse(route: Route) -> None:
        route.fulfill(
            status=429, body=json.dumps({"error": "Wait.", "detail": "Wait."}), content_type="application/json"
        )

    phone.goto(server.url)
    run, status, area = phone.locator(".first-run"), phone.locator(".first-status"), phone.locator("#first textarea")
    phone.route("**/gradio_api/call/complete", refuse)
    run.click()
    expect(status).to_have_text("Wait.")
    expect(status).to_have_class(re.compile("error"))
    phone.unroute("**/gradio_api/call/complete")
    # the server refuses NUL in a sentence of its own
    phone.evaluate("document.querySelector('#first textarea').value = 'a\\0'")
    run.click()
    expect(status).to_have_text(re.compile("NUL character"))
    phone.route("**/gradio_api/call/complete/*", lambda route: None)  # never answers
    area.fill("x = 1")
    run.click()
    phone.locator(".first-stop").click()
    expect(status).to_have_text("Stopped.")
    expect(run).to_be_enabled()
    expect(area).to_have_value("x = 1")
    phone.unroute_all(behavior="ignoreErrors")


def test_text_fields_are_so_large_that_safari_does_not_zoom_in(chromium: Browser, server: Server) -> None:
    context = chromium.new_context(viewport=PHONE, has_touch=True, is_mobile=True)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(server.url)
    for field in ("textarea", "pre"):  # the suggestion is over the text
        expect(page.locator(f"#first {field}")).to_have_css("font-size", "16px")
    page.locator(".first-more").click()
    expect(page.locator("#first")).to_have_count(0)
    for field in ("#complete-editor .cm-content", "#complete-preset input"):
        expect(page.locator(field)).to_have_css("font-size", "16px")
    context.close()


@pytest.mark.parametrize(
    "query", ["?pane=compare", "?share=abcdefgh", "?model=test%2Ftiny&branch=other", "?__theme=dark"]
)
def test_it_does_not_come_before_what_an_address_names(phone: Page, server: Server, query: str) -> None:
    phone.goto(f"{server.url}/{query}", wait_until="domcontentloaded")
    expect(phone.locator("#first")).to_have_count(0)
    assert built(phone)


def test_wide_windows_begin_with_the_page(phone: Page, server: Server) -> None:
    phone.set_viewport_size({"width": 1280, "height": 900})
    phone.goto(server.url, wait_until="domcontentloaded")
    expect(phone.locator("#first")).to_have_count(0)
    assert built(phone)
