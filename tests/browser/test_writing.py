"""Further functions of the code panes besides Run and Stop, as a user would use them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from app.generation.records import MARK
from tests.browser.test_playground import open_infill, read, run, set_parameter, write


@pytest.fixture
def page(shared_page: Page) -> Page:
    """The Complete pane."""
    shared_page.get_by_role("tab", name="Complete").click()
    return shared_page


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
    page.locator("#complete-editor .cm-content").focus()
    page.keyboard.type("#")
    expect_coloured(page, "")


@pytest.mark.slow
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
        seed = re.search(r"seed (\d)", page.locator("#complete-status").text_content() or "")
        assert seed
        texts[seed[1]] = read(page, "complete")
    page.get_by_role("button", name="Next candidate").click()
    expect(page.locator("#complete-page")).to_have_text("Candidate 1 of 3")
    expect(page.get_by_role("button", name="Previous candidate")).to_be_visible()
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
    expect(page.locator("#alternatives .heading")).to_contain_text(re.compile(r": .*%$"))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#complete-page")).to_have_text("Candidate 2 of 2")
    assert read(page, "complete") != before
    expect(tokens.first).to_have_attribute("data-token", re.compile(r"\d+"))
    page.keyboard.press("Alt+[")
    expect(page.locator("#complete-page")).to_have_text("Candidate 1 of 2")
    assert read(page, "complete") == before
    tokens.first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#alternatives")).to_be_visible()
    page.keyboard.press("Alt+]")  # the tokens are those of another text now
    expect(page.locator("#complete-page")).to_have_text("Candidate 2 of 2")
    expect(page.locator("#alternatives")).to_be_hidden()


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
    expect(shown).to_contain_text(re.compile(r"Perplexity \d"))
    assert shown.locator(".tokens").inner_text().replace("↵", "") == "import os\nprint(os.sep)"
    write(page, "complete", "")
    page.locator("#complete-surprise").click()
    expect(shown.get_by_role("alert")).to_contain_text("There is no code")


@pytest.mark.slow
def test_the_bar_tells_what_fits_and_what_is_cut(page: Page) -> None:
    write(page, "complete", "value = 1")
    context = page.locator("#complete-context")
    expect(context).to_contain_text("of 1,024 free")
    set_parameter(page, "number input for Maximum length", "100")
    expect(context).to_contain_text("up to 100 new")
    write(page, "complete", "value = 1\n" * 300)
    expect(context).to_contain_text("The model reads only the last")


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


def test_a_key_that_types_a_bracket_shows_no_other_candidate(page: Page) -> None:
    """On Italian and Spanish keyboards of a Mac, Option types it with the key of the shortcut."""
    pressed = """([platform, key]) => {
        Object.defineProperty(navigator, "platform", { get: () => platform, configurable: true });
        const options = { key, code: "BracketRight", altKey: true, bubbles: true, cancelable: true };
        const content = document.querySelector("#complete-editor .cm-content");
        return !content.dispatchEvent(new KeyboardEvent("keydown", options));
    }"""
    set_parameter(page, "number input for Maximum length", "8")
    set_parameter(page, "number input for Candidates", "2")
    set_parameter(page, "Temperature", "1")
    set_parameter(page, "Seed", "5")
    write(page, "complete", "a = ")
    run(page, "complete")
    try:
        assert not page.evaluate(pressed, ["MacIntel", "]"])
        assert page.evaluate(pressed, ["MacIntel", "‘"])  # on a US keyboard
        expect(page.locator("#complete-page")).to_have_text("Candidate 2 of 2")
        assert page.evaluate(pressed, ["Win32", "]"])
        expect(page.locator("#complete-page")).to_have_text("Candidate 1 of 2")
    finally:
        page.evaluate("delete navigator.platform")


def test_escape_leaves_the_editor(page: Page) -> None:
    page.locator("#complete-editor .cm-content").click()
    page.keyboard.press("Escape")
    expect(page.locator("#complete-run")).to_be_focused()


def test_the_request_as_code_follows_what_is_set(page: Page) -> None:
    write(page, "complete", "x = 1")
    set_parameter(page, "number input for Maximum length", "7")
    open_detail(page, "complete", "As code")
    shown = page.locator("#complete-snippet .cm-content")
    expect(shown).to_contain_text('"n_predict": 7')
    set_parameter(page, "number input for Maximum length", "9")
    expect(shown).to_contain_text('"n_predict": 9')
    page.locator("#complete-snippet-kind").get_by_text("Python").click()
    expect(shown).to_contain_text("OpenAI(")
    seed = re.search(r"seed (\d+)", run(page, "complete"))
    assert seed
    expect(shown).to_contain_text(f"seed={seed[1]}")
