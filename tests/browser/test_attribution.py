"""Copies are underlined in the editor and listed in the panel, in generated and in pasted code."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server
from tests.browser.test_playground import set_parameter, write
from tests.santacoder.attribution.conftest import File, write_index

QUAYS = "".join(f"quay_{number} = '<b>' + berth({number}, tide)\n" for number in range(30))
UNDERLINED = "(CSS.highlights.get('copied')?.size ?? 0)"


@pytest.mark.parametrize("with_text", [pytest.param(True, marks=pytest.mark.slow), False])
def test_where_code_is_from(shared_page: Page, server: Server, with_text: bool) -> None:
    page = shared_page
    page.get_by_role("tab", name="Complete").click()
    set_parameter(page, "number input for Maximum length", "8")
    badge = page.locator("#complete-origin-badge .badge")
    if with_text:
        write(page, "complete", "x = 1\n")
        page.locator("#complete-run").click()
        expect(badge).to_contain_text("There is no attribution index for test/tiny.")
    # a model's own goes before that of all models of the name
    folder = server.store / ("attribution--test" if with_text else "attribution--test--tiny")
    write_index(folder, [[File("harbour/quays.py", QUAYS, registry="pypi")]], with_text=with_text)

    write(page, "complete", "import os\n" + QUAYS)
    page.get_by_role("tab", name="Origin").first.click()
    page.locator("#complete-origin").click()
    expect(badge).to_contain_text("1 passage found in training files of harbour")
    page.wait_for_function(f"{UNDERLINED} > 0")
    panel = page.locator("#complete-origins")
    for words in ("harbour 1.0", "harbour/quays.py", "MIT", "Keep its copyright notice"):
        expect(panel).to_contain_text(words)
    expect(panel.get_by_role("link")).to_have_attribute("href", "https://pypi.org/project/harbour/1.0/")
    there = panel.get_by_role("figure", name="Passage 1, training file")
    expect(there).to_contain_text("quay_3 = '<b>' + berth(3, tide)" if with_text else "Only fingerprints")
    assert panel.locator("b", has_text="' + berth").count() == 0

    # what is edited is no longer what was checked
    page.locator("#complete-editor .cm-content").press("Control+End")
    page.keyboard.type("y = 2")
    page.wait_for_function(f"{UNDERLINED} === 0")

    page.locator("#complete-run").click()
    expect(badge).to_contain_text("1 passage found in training files")
    expect(panel).to_contain_text("in your own code")
    # another text is written over what was checked
    set_parameter(page, "number input for Maximum length", "256")
    page.locator("#complete-retry").click()
    expect(page.locator("#complete-stop")).to_be_enabled()
    expect(badge).to_have_count(0)
    page.locator("#complete-stop").click()
    expect(badge).to_contain_text("1 passage found in training files")
    page.locator("#complete-undo").click()
    expect(badge).to_have_count(0)
    expect(panel).to_contain_text("After each run")
    set_parameter(page, "number input for Maximum length", "8")
    write(page, "complete", "x = 1\n")
    page.locator("#complete-run").click()
    expect(badge).to_contain_text("Too short to check: only copies of")
    expect(badge).to_contain_text("1 file of 1 package (Python")
