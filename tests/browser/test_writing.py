"""Further functions of the code panes besides Run and Stop, as a user would use them."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Page, expect

from app.generation.records import MARK
from tests.browser.test_playground import open_infill, read, run, set_parameter, write


def open_detail(page: Page, pane: str, name: str) -> None:
    page.locator(f"#{pane}-details").get_by_role("tab", name=name).click()


def written(page: Page) -> str:
    """The text that is coloured as generated."""
    return page.evaluate("[...CSS.highlights.get('written') ?? []].map(String).join('\\n')")


def expect_coloured(page: Page, text: str) -> None:
    page.wait_for_function(
        "(text) => [...CSS.highlights.get('written') ?? []].map(String).join('\\n') === text", arg=text
    )


def test_what_the_model_wrote_is_coloured_until_it_is_edited(page: Page) -> None:
    write(page, "complete", "x = [\n    1,")
    set_parameter(page, "number input for Maximum length", "12")
    set_parameter(page, "Seed", "5")
    run(page, "complete")
    expect_coloured(page, read(page, "complete").removeprefix("x = [\n    1,").removeprefix("\n"))
    page.locator("#complete-editor .cm-content").click()
    page.keyboard.type("#")
    expect_coloured(page, "")


def test_candidates_are_paged_through_and_come_again_with_their_seed(page: Page) -> None:
    set_parameter(page, "number input for Maximum length", "8")
    set_parameter(page, "number input for Candidates", "3")
    set_parameter(page, "Temperature", "1")
    set_parameter(page, "Seed", "5")
    write(page, "complete", "a = ")
    first = re.search(r"seed (\d)", run(page, "complete"))
    assert first
    texts = {first[1]: read(page, "complete")}
    for number in ("2", "3"):
        page.keyboard.press("Alt+]")
        expect(page.locator("#complete-page")).to_have_text(f"Candidate {number} of 3")
        seed = re.search(r"seed (\d)", page.locator("#complete-status").inner_text())
        assert seed
        texts[seed[1]] = read(page, "complete")
    page.locator("#complete-later").click()
    expect(page.locator("#complete-page")).to_have_text("Candidate 1 of 3")
    assert read(page, "complete") == texts[first[1]]
    assert sorted(texts) == ["5", "6", "7"] and len(set(texts.values())) == 3
    page.locator("#complete-undo").click()
    set_parameter(page, "number input for Candidates", "1")
    set_parameter(page, "Seed", "7")
    assert "seed 7 " in run(page, "complete")
    assert read(page, "complete") == texts["7"]


def test_another_token_can_be_chosen_and_gone_on_from(page: Page) -> None:
    set_parameter(page, "number input for Maximum length", "8")
    set_parameter(page, "Temperature", "0")
    write(page, "complete", "def f(")
    run(page, "complete")
    before = read(page, "complete")
    tokens = page.locator("#complete-tokens .token")
    expect(tokens).to_have_count(8)
    tokens.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    alternatives = page.locator("#alternatives button")
    expect(alternatives).to_have_count(5)
    expect(page.locator("#alternatives")).to_contain_text("had")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#complete-page")).to_have_text("Candidate 2 of 2")
    assert read(page, "complete") != before
    expect(tokens.first).to_have_attribute("data-token", re.compile(r"\d+"))
    page.keyboard.press("Alt+[")
    expect(page.locator("#complete-page")).to_have_text("Candidate 1 of 2")
    assert read(page, "complete") == before


def test_several_gaps_are_filled_in_order(page: Page) -> None:
    open_infill(page)
    write(page, "infill", f"a = {MARK}\nb = {MARK}\nc")
    set_parameter(page, "number input for Maximum length", "4")
    page.locator("#infill-order").get_by_text("Suffix first").click()
    run(page, "infill")
    filled = read(page, "infill")
    assert MARK not in filled
    assert filled.startswith("a = ") and "\nb = " in filled and filled.endswith("\nc")
    expect(page.locator("#infill-tokens .tokens")).to_have_count(2)
    page.locator("#infill-undo").click()
    expect(page.locator("#infill-editor .cm-content")).to_contain_text(MARK)
    assert read(page, "infill") == f"a = {MARK}\nb = {MARK}\nc"


def test_ones_own_code_is_scored(page: Page) -> None:
    write(page, "complete", "import os\nprint(os.sep)")
    open_detail(page, "complete", "My code")
    page.locator("#complete-surprise").click()
    shown = page.locator("#complete-surprise-tokens")
    expect(shown).to_contain_text(re.compile(r"Perplexity \d"), timeout=30_000)
    assert shown.locator(".tokens").inner_text().replace("↵", "") == "import os\nprint(os.sep)"
    write(page, "complete", "")
    page.locator("#complete-surprise").click()
    expect(shown.get_by_role("alert")).to_contain_text("There is no code")


def test_the_bar_tells_what_fits_and_what_is_cut(page: Page) -> None:
    context = page.locator("#complete-context")
    expect(context).to_contain_text("of 1,024 free")
    set_parameter(page, "number input for Maximum length", "100")
    expect(context).to_contain_text("up to 100 new")
    write(page, "complete", "value = 1\n" * 1000)
    expect(context).to_contain_text("The model reads only the last")


def test_a_language_brings_its_examples_and_leaves_ones_own_code(page: Page) -> None:
    language = page.locator("#complete-language")
    language.get_by_text("JavaScript").click()
    expect(page.locator("#complete-editor .cm-content")).to_contain_text("function")
    page.locator("#complete-preset input").click()
    page.get_by_role("option").nth(1).click()
    expect(page.locator("#complete-editor .cm-content")).to_contain_text("Stack.prototype")
    write(page, "complete", "my own")
    language.get_by_text("Java", exact=True).click()
    page.wait_for_timeout(500)
    assert read(page, "complete") == "my own"


def test_what_was_run_is_in_the_history_of_this_browser(page: Page) -> None:
    set_parameter(page, "number input for Maximum length", "6")
    write(page, "complete", "first = 1")
    run(page, "complete")
    first = read(page, "complete")
    write(page, "complete", "<img src=x onerror=document.title=1>")
    run(page, "complete")
    open_detail(page, "complete", "History")
    entries = page.locator("#complete-history li")
    expect(entries).to_have_count(2)
    page.reload()
    page.wait_for_selector("#complete-run")
    open_detail(page, "complete", "History")
    expect(entries).to_have_count(2)
    entries.nth(1).get_by_role("button").click()
    expect(page.locator("#complete-status")).to_contain_text("6 tokens")
    assert read(page, "complete") == first
    page.get_by_role("button", name="Clear history").click()
    expect(entries).to_have_count(0)
    assert page.title() == "SantaCoder"


def test_an_entry_that_was_tampered_with_is_said(page: Page) -> None:
    generation = {
        "pane": "complete",
        "parts": ["x"],
        "repo_id": "a/b",
        "revision": "c",
        "candidates": [{"completions": []}],
    }
    entries = json.dumps([{"time": 0, "generation": json.dumps(generation)}])
    page.evaluate("(entries) => localStorage.setItem('santacoder.history.complete', entries)", entries)
    open_detail(page, "complete", "History")
    page.locator("#complete-history li button").click()
    expect(page.get_by_role("alert")).to_contain_text("This is not a stored generation: at language, Field required.")


def test_code_is_copied_and_saved(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    write(page, "complete", "kept = 1\n")
    page.locator("#complete-copy").click()
    expect(page.locator("#said")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == "kept = 1\n"
    with page.expect_download() as download:
        page.locator("#complete-download").click()
    assert download.value.suggested_filename == "completion.py"
    assert download.value.path().read_text() == "kept = 1\n"


def test_a_reload_keeps_the_code(page: Page) -> None:
    write(page, "complete", "mine = 1")
    page.wait_for_timeout(500)
    page.reload()
    page.wait_for_selector("#complete-run")
    expect(page.locator("#complete-editor .cm-content")).to_have_text("mine = 1")


def test_escape_leaves_the_editor(page: Page) -> None:
    page.locator("#complete-editor .cm-content").click()
    page.keyboard.press("Escape")
    expect(page.locator("#complete-run")).to_be_focused()
