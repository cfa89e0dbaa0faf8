"""The prompt that the page restores after a run, and the editor's support for writing one."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from app.generation.records import MARK
from tests.browser.test_playground import open_infill, run, set_parameter, write


@pytest.fixture
def page(shared_page: Page) -> Page:
    """The Complete pane, without a seed."""
    shared_page.get_by_role("tab", name="Complete").click()
    set_parameter(shared_page, "Seed", "")
    return shared_page


def code(page: Page, pane: str) -> str:
    """The contents of the editor."""
    return page.evaluate(
        "(pane) => document.querySelector(`#${pane}-editor .cm-content`).cmTile.root.view.state.doc.toString()", pane
    )


def rerun(page: Page, pane: str, button: str) -> str:
    """Press a button that runs, and wait until the seed changes."""
    status = page.locator(f"#{pane}-status .status").first
    before = re.search(r"seed \d+", status.text_content() or "")
    assert before
    page.locator(f"#{pane}-{button}").click()
    expect(status).not_to_contain_text(before[0])
    expect(status).to_have_text(re.compile(r"seed \d+"))
    expect(page.locator(f"#{pane}-run")).to_be_enabled()  # until then, the text cannot be edited
    return status.text_content() or ""


@pytest.mark.slow
def test_the_prompt_is_known_when_it_is_run_again(page: Page) -> None:
    set_parameter(page, "number input for Maximum length", "6")
    set_parameter(page, "Temperature", "1")
    open_infill(page)
    write(page, "infill", f"a = {MARK}\nb = 2")
    run(page, "infill")
    first = code(page, "infill")
    assert MARK not in first
    for button in ("run", "retry"):
        rerun(page, "infill", button)
        again = code(page, "infill")
        assert again != first and again.startswith("a = ") and again.endswith("\nb = 2") and MARK not in again
    page.locator("#infill-editor .cm-content").focus()
    page.keyboard.press("Control+End")
    page.keyboard.insert_text("0\nc = 3")
    rerun(page, "infill", "run")
    assert code(page, "infill").endswith("\nb = 20\nc = 3")


def test_retry_goes_on_from_the_same_code_with_another_seed(page: Page) -> None:
    set_parameter(page, "number input for Maximum length", "6")
    set_parameter(page, "Temperature", "1")
    set_parameter(page, "Seed", "5")
    write(page, "complete", "x = 1")
    assert "seed 5 " in run(page, "complete")
    assert "seed 6 " in rerun(page, "complete", "retry")
    assert "seed 7 " in rerun(page, "complete", "retry")
    assert code(page, "complete").startswith("x = 1")
    page.locator("#complete-undo").click()
    page.wait_for_function(
        "document.querySelector('#complete-editor .cm-content').cmTile.root.view.state.doc.toString() === 'x = 1'"
    )


def test_the_order_of_a_prompt_stays_what_was_chosen(page: Page) -> None:
    set_parameter(page, "number input for Maximum length", "8")
    set_parameter(page, "number input for Candidates", "8")
    set_parameter(page, "Temperature", "1")
    open_infill(page)
    write(page, "infill", f"a = {MARK}\nb = 2")
    run(page, "infill")
    page.locator("#infill-later").click()
    expect(page.locator("#infill-page")).to_contain_text("2 of ")
    expect(page.locator("#infill-order input:checked")).to_have_value("auto")
    set_parameter(page, "number input for Candidates", "1")


def test_a_mark_is_put_where_the_cursor_is(page: Page) -> None:
    open_infill(page)
    write(page, "infill", "a = \nb")
    for _ in range(2):
        page.keyboard.press("ArrowLeft")
    page.locator("#infill-gap").click()
    page.wait_for_function("(mark) => document.querySelector('#infill-editor').innerText.includes(mark)", arg=MARK)
    assert code(page, "infill") == f"a = {MARK}\nb"


def test_the_editor_indents_as_its_code_does(page: Page) -> None:
    for before, expected in (
        ("def f(x):", "def f(x):\n    "),
        ("class A:\n  def f(self):", "class A:\n  def f(self):\n    "),
        ("class A:\n    def f(self):", "class A:\n    def f(self):\n        "),
    ):
        write(page, "complete", before)
        page.keyboard.press("Enter")
        assert code(page, "complete") == expected


def test_the_menus_follow_what_is_in_the_editor(page: Page) -> None:
    chosen = page.locator("#complete-language input:checked")
    write(page, "complete", "function f(x) {\n  return x;\n}\n")
    expect(chosen).to_have_value("javascript")
    expect(page.locator("#complete-preset input")).to_have_value("")
    expect(page.locator("#complete-preset input")).to_have_attribute("placeholder", "Choose an example")
    page.keyboard.press("Enter")
    page.keyboard.insert_text("if (x) {")
    page.keyboard.press("Enter")
    assert code(page, "complete").endswith("if (x) {\n  ")
    write(page, "complete", "public class A {\n    private int x;\n}\n")
    expect(chosen).to_have_value("java")


def continued(page: Page, prompt: str) -> str:
    """``prompt`` and its continuation, in the editor, which has the focus."""
    set_parameter(page, "number input for Maximum length", "24")
    set_parameter(page, "Seed", "5")
    write(page, "complete", prompt)
    run(page, "complete")
    # CodeMirror looks a click up at a wrong position in some texts of stray bytes, such as a random model's
    page.locator("#complete-editor .cm-content").focus()
    return code(page, "complete")


def test_a_continuation_is_taken_word_by_word(page: Page) -> None:
    whole = continued(page, "x = 1")
    seen = "x = 1"
    for keys in ("Alt+ArrowRight", "Alt+ArrowRight", "Alt+ArrowDown"):
        page.keyboard.press(keys)
        part = code(page, "complete")
        assert whole.startswith(part) and len(part) > len(seen) and part.startswith(seen)
        seen = part
    page.keyboard.type("#")
    assert code(page, "complete") == f"{seen}#"


def test_a_caret_that_was_moved_away_accepts_nothing(page: Page) -> None:
    """Option and an arrow move it by words on a Mac."""
    whole = continued(page, "first = 1\nx = 1")
    page.keyboard.press("Control+Home")
    page.keyboard.press("Alt+ArrowRight")
    assert code(page, "complete") == whole
    page.keyboard.press("Control+End")
    page.keyboard.press("Alt+ArrowRight")
    accepted = code(page, "complete")
    assert whole.startswith(accepted) and accepted != whole
    page.keyboard.press("Control+Home")
    page.keyboard.press("Alt+ArrowRight")
    assert code(page, "complete") == accepted


@pytest.mark.parametrize("key", ["Enter", "Backspace", "Control+z"])
def test_an_edit_by_a_key_is_no_generated_text(page: Page, key: str) -> None:
    """CodeMirror handles these keys itself."""
    write(page, "complete", "# one\nx = 1")
    run(page, "complete")
    expect(page.locator("#complete-status [data-written]")).to_have_count(1)
    page.locator("#complete-editor .cm-content").focus()
    page.keyboard.press("Control+Home")
    page.keyboard.press("End")
    page.keyboard.press(key)
    expect(page.locator("#complete-status [data-written]")).to_have_count(0)
    edited = code(page, "complete")
    page.keyboard.press("Alt+ArrowRight")
    assert code(page, "complete") == edited
