"""A server that stops while its page is open, and starts again."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import Server, free_port, start_server
from tests.browser.test_playground import read, run, set_parameter, write


def test_the_page_says_that_the_server_is_gone_and_goes_on_when_it_is_back(blank_page: Page, server: Server) -> None:
    page, port = blank_page, free_port()
    options = ["--model", "test/tiny", "--store", str(server.store)]
    process, url = start_server(*options, port=port)
    page.goto(url)
    page.wait_for_selector("#complete-run")
    write(page, "complete", "mine = 1")
    bar = page.locator("#unreachable")

    process.terminate()
    process.wait(timeout=60)
    expect(bar).to_contain_text("The server cannot be reached", timeout=30_000)
    expect(bar).to_have_attribute("role", "alert")
    expect(bar).to_be_in_viewport()
    assert read(page, "complete") == "mine = 1"

    process, _ = start_server(*options, port=port)
    try:
        expect(bar).to_be_hidden(timeout=60_000)
        expect(page.locator("#complete-editor .cm-content")).to_have_text("mine = 1")
        set_parameter(page, "number input for Maximum length", "4")
        assert "test/tiny@main" in run(page, "complete")
    finally:
        process.terminate()
        process.wait(timeout=60)
