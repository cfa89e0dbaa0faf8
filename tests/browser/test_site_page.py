"""The page of the site of static files: what it does with the visitor's code, with what fails, and without a mouse."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Route, expect

from tests.browser.static_site import Site, needs_runtime, run, set_parameters, watched_site, write

pytestmark = needs_runtime
CODE = "class Point:\n    def __init__(self, x, y):\n        self._x = x\n"


@pytest.fixture(scope="module")
def visitor(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    yield context
    context.close()


@pytest.fixture(scope="module")
def page(visitor: BrowserContext, site: Site) -> Iterator[Page]:
    with watched_site(visitor, site) as page:
        yield page


def test_the_language_changes_the_example_but_not_the_visitors_code(page: Page) -> None:
    page.locator("#example").click()
    page.locator("#language").select_option("java")
    expect(page.locator("#code")).to_have_value(re.compile("^public class Ticket"))
    page.locator("#code").fill("int mine = ")
    page.locator("#language").select_option("python")
    expect(page.locator("#code")).to_have_value("int mine = ")


def test_each_tab_keeps_its_code_and_what_was_written(page: Page) -> None:
    set_parameters(page, max_new_tokens="8", temperature="0")
    write(page, "complete", CODE)
    written = run(page)
    page.locator("#tab-complete").press("ArrowRight")
    expect(page.locator("#code")).to_have_value(re.compile("^def find"))  # the example
    page.locator("#code").fill("x = <FILL_HERE>\n")
    page.locator("#tab-infill").press("ArrowLeft")
    expect(page.locator("#code")).to_have_value(written)
    expect(page.locator("#status")).to_contain_text("seed")
    page.locator("#undo").click()
    expect(page.locator("#code")).to_have_value(CODE)
    page.locator("#tab-infill").click()
    expect(page.locator("#code")).to_have_value("x = <FILL_HERE>\n")
    expect(page.locator("#undo")).to_be_disabled()


def test_run_and_link_wait_for_the_list_of_models(chromium: Browser, site: Site) -> None:
    context = chromium.new_context(service_workers="block")
    page = context.new_page()
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
    context.close()
