"""Axe finds no serious problem in any pane, in light and dark mode, on a desktop and a phone."""

from __future__ import annotations

import os
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from app.shares.database import Database
from app.shares.store import ShareStore
from tests.app.shares.generations import generation
from tests.browser.conftest import Server, open_advanced, open_pane, open_parameters, open_picker
from tests.browser.test_compare import run as compare
from tests.browser.test_playground import run, set_parameter, write

PANES = ("Complete", "Fill in the middle", "Compare", "Branches", "Gallery", "Train")
UNTIL_NOTHING_FADES = """
() => Promise.allSettled(
  document.getAnimations().filter((each) => each instanceof CSSTransition).map((each) => each.finished)
).then(() => null)
"""


def serious_problems(page: Page) -> list[str]:
    page.wait_for_timeout(500)
    page.evaluate(UNTIL_NOTHING_FADES)  # what does has too little contrast meanwhile
    found: list[dict[str, Any]] = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{problem['id']}: {node['html'][:150]} ({node['failureSummary']})"
        for problem in found
        if problem["impact"] in ("serious", "critical")
        for node in problem["nodes"]
    ]


@pytest.fixture(scope="module")
def shared() -> None:
    """Something for the Gallery."""
    store = ShareStore(Database(os.environ["SANTACODER_DATABASE_URL"]))
    store.add(generation("def area(self):\n", texts=("    return 1.5 * self.width  # 'x'\n",)), "An area")
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize("scheme,width", [("light", 1440), ("dark", 360)])
def test_axe_finds_nothing_serious(chromium: Browser, server: Server, shared: None, scheme: Any, width: int) -> None:
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto(server.url)
    problems = []
    if (first := page.locator("#first")).is_visible():
        problems += serious_problems(page)
        first.locator(".first-more").click()
    page.wait_for_selector("#complete-run")
    open_parameters(page)
    open_advanced(page)
    set_parameter(page, "number input for Maximum length", "12")
    set_parameter(page, "number input for Candidates", "2")
    for name in PANES:
        open_pane(page, name)
        if name == "Compare":
            expect(page.locator("#compare-revisions")).to_contain_text("test/tiny@other")
            compare(page)
        elif name == "Gallery":
            expect(page.locator(".card").first).to_be_visible()
        problems += serious_problems(page)
    open_pane(page, "Complete")
    run(page, "complete")
    problems += serious_problems(page)
    page.locator("#complete-tokens .token").first.click()
    expect(page.locator("#alternatives")).to_be_visible()
    problems += serious_problems(page)
    page.keyboard.press("Escape")
    page.locator("#complete-status .facts summary").click()
    open_picker(page)
    expect(page.locator(".choice[data-value=other]")).to_be_visible()
    page.locator(".about-model summary").click()
    problems += serious_problems(page)
    page.keyboard.press("Escape")
    write(page, "complete", "Write a function that adds two numbers")
    expect(page.locator("#complete-hint button")).to_be_visible()
    problems += serious_problems(page)
    page.locator("#complete-hint button").click()
    for name in ("My code", "As code", "History"):
        open_pane(page, name, of="#complete-details")
        problems += serious_problems(page)
    page.close()
    assert not problems, "\n".join(problems)
