"""A server that stops while its page is open, and starts again."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from export.site import runtime_is_installed, write_site
from tests.browser.conftest import Server, free_port, open_picker, start_server
from tests.browser.test_playground import read, run, set_parameter, write


@pytest.mark.slow
def test_the_page_says_that_the_server_is_gone_and_goes_on_when_it_is_back(
    blank_page: Page, server: Server, tmp_path: Path
) -> None:
    """Where the browser's runtime is installed, the model goes on in the browser meanwhile."""
    page, port = blank_page, free_port()
    options = ["--model", "test/tiny", "--store", str(server.store)]
    has_site = runtime_is_installed()
    if has_site:
        write_site(tmp_path / "site", ["test/tiny"], server.store)
        options += ["--browser-site", str(tmp_path / "site")]
    process, url = start_server(*options, port=port)
    page.goto(url)
    page.wait_for_selector("#complete-run")
    write(page, "complete", "mine = 1")
    bar = page.locator("#unreachable")
    if has_site:
        run_in_the_browser(page)

    process.terminate()
    process.wait(timeout=60)
    expect(bar).to_contain_text("The server cannot be reached")
    expect(bar).to_have_attribute("role", "alert")
    expect(bar).to_be_in_viewport()
    assert read(page, "complete") == "mine = 1"
    if has_site:
        go_on_in_the_browser(page)
        write(page, "complete", "mine = 1")

    process, _ = start_server(*options, port=port)
    try:
        expect(bar).to_be_hidden()
        expect(page.locator("#complete-editor .cm-content")).to_have_text("mine = 1")
        set_parameter(page, "number input for Maximum length", "4")
        assert "test/tiny@main" in run(page, "complete")
    finally:
        process.terminate()
        process.wait(timeout=60)


def run_in_the_browser(page: Page) -> None:
    """Follow the link in the picker, run the same code there, and come back."""
    set_parameter(page, "number input for Temperature", "0.9")
    open_picker(page)
    page.locator("#run-in-browser").click()
    expect(page.locator("#status")).to_contain_text("test/tiny@main is ready")
    expect(page.locator("#code")).to_have_value("mine = 1")
    expect(page.locator("#temperature")).to_have_value("0.9")
    expect(page.locator("#stop_at")).to_have_value("function")
    page.locator("#run").click()
    expect(page.locator("#status")).to_contain_text("tokens/s in this browser")
    page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    page.go_back()
    page.wait_for_selector("#complete-run")
    write(page, "complete", "mine = 1")
    expect(page.locator("#run-in-browser")).to_be_attached()


def go_on_in_the_browser(page: Page) -> None:
    """Go on typing, and follow the link of the bar in another tab."""
    link = page.get_by_role("link", name="Continue in this browser")
    before = link.get_attribute("href") or ""
    write(page, "complete", "mine = 2")
    link.hover()
    expect(link).not_to_have_attribute("href", before)
    beside = page.context.new_page()
    beside.goto(link.get_attribute("href") or "")
    expect(beside.locator("#status")).to_contain_text("test/tiny@main is ready")
    expect(beside.locator("#code")).to_have_value("mine = 2")
    beside.close()
