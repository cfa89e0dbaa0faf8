"""What people who saw the page for the first time stumbled over."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from app.ui.code_pane.example_code import presets
from tests.browser.conftest import open_advanced, open_names, open_parameters, open_picker, pick
from tests.browser.test_playground import set_parameter

EXAMPLE = next(iter(presets("complete", "python").values()))
BRANCH = "#branch input"


def test_the_suggestion_stays_at_the_end_of_the_code_when_the_window_changes(shared_page: Page) -> None:
    ghost = shared_page.locator(".ghost")
    expect(ghost).to_be_visible()
    text = ghost.text_content()
    gap = """() => {
        const view = document.querySelector('#complete-editor .cm-content').cmTile.root.view;
        const end = view.coordsAtPos(view.state.doc.length);
        return Math.abs(document.querySelector('.ghost').getBoundingClientRect().top - end.top);
    }"""
    for width in (900, 1280):
        shared_page.set_viewport_size({"width": width, "height": 900})
        shared_page.wait_for_function(f"({gap})() < 12")
        expect(ghost).to_have_text(text or "")


def test_the_context_counts_code_and_fits_above_the_buttons_of_a_phone(shared_page: Page) -> None:
    said = shared_page.locator("#complete-context .context-said")
    expect(said).to_have_text(re.compile(r"^[\d,]+ tokens of code · up to "))
    shared_page.set_viewport_size({"width": 390, "height": 844})
    try:
        shared_page.evaluate("scrollTo(0, 0)")
        bottom, top = (
            shared_page.evaluate(f"document.querySelector('{selector}').getBoundingClientRect().{side}")
            for selector, side in (("#complete-context .context-said", "bottom"), ("#complete-run", "top"))
        )
        assert bottom <= top
    finally:
        shared_page.set_viewport_size({"width": 1280, "height": 900})


def test_the_numbers_of_the_parameters_fit_their_fields(shared_page: Page) -> None:
    fields = shared_page.locator("#parameters input[type=number]:visible")
    try:
        for width in (1280, 390):
            shared_page.set_viewport_size({"width": width, "height": 844})
            open_parameters(shared_page)
            open_advanced(shared_page)
            set_parameter(shared_page, "number input for Temperature", "0.25")
            expect(fields).to_have_count(6)
            for field in fields.all():
                assert field.evaluate("(field) => field.scrollWidth <= field.clientWidth"), field.input_value()
    finally:
        shared_page.set_viewport_size({"width": 1280, "height": 900})


def test_back_leaves_the_picker_and_does_not_step_through_its_presses(shared_page: Page) -> None:
    before = shared_page.url
    open_picker(shared_page)
    for value in ("other", "main", "other"):
        shared_page.locator(f".choice[data-kind=branch][data-value={value}]").click()
        expect(shared_page.locator(BRANCH)).to_have_value(re.compile(f"^{value}"))
        shared_page.wait_for_function("(value) => location.search.includes(`branch=${value}`)", arg=value)
    shared_page.locator("#picker-done").click()
    shared_page.go_back()
    expect(shared_page.locator("#pill")).to_have_text(re.compile("main"))
    expect(shared_page).to_have_url(before)


def test_what_is_opened_at_the_end_of_the_picker_is_brought_into_sight(shared_page: Page) -> None:
    open_picker(shared_page)
    shared_page.locator(".about-model summary").click()
    rows = shared_page.locator(".about-model dt")
    foot = shared_page.locator("#picker-foot").bounding_box()
    shown = [box for row in rows.all() if (box := row.bounding_box()) and foot and box["y"] + box["height"] < foot["y"]]
    assert len(shown) >= min(4, rows.count())
    shared_page.locator("#picker-done").click()


def test_a_citation_that_cannot_be_copied_is_said(shared_page: Page) -> None:
    shared_page.evaluate("delete Navigator.prototype.clipboard")  # as at http://192.168.…
    open_picker(shared_page)
    shared_page.locator(".about-model").evaluate("(details) => (details.open = true)")
    shared_page.locator(".copy-citation").click()
    expect(shared_page.locator(".copy-citation")).to_have_text("The browser blocked copying")
    shared_page.locator("#picker-done").click()


def test_passing_through_the_name_of_the_model_keeps_the_branch(shared_page: Page) -> None:
    pick(shared_page, "branch", "other")
    open_names(shared_page)
    shared_page.locator("#model input").focus()
    shared_page.keyboard.press("Tab")
    expect(shared_page.locator(BRANCH)).to_be_focused()
    shared_page.keyboard.press("Tab")
    shared_page.locator("#picker-done").click()
    # the next event of the page is answered after whatever the fields asked for
    pick(shared_page, "commit", "")
    expect(shared_page.locator(BRANCH)).to_have_value(re.compile("^other"))
    pick(shared_page, "branch", "main")


def test_a_text_says_which_model_wrote_it(shared_page: Page) -> None:
    set_parameter(shared_page, "number input for Maximum length", "8")
    shared_page.locator("#complete-run").click()
    status = shared_page.locator("#complete-status .status").first
    expect(status).to_have_text(re.compile("^tiny · main: "))
    pick(shared_page, "branch", "other")
    expect(shared_page.locator("#pill")).to_contain_text("other")
    expect(status).to_have_text(re.compile("^tiny · main: "))
    pick(shared_page, "branch", "main")


def test_the_bar_of_the_gap_pane_has_one_row_beside_the_parameters(shared_page: Page) -> None:
    set_parameter(shared_page, "number input for Candidates", "3")
    shared_page.get_by_role("tab", name="Fill in the middle", exact=True).click()
    shared_page.locator("#infill-run").click()
    expect(shared_page.locator("#infill-later")).to_be_visible()
    tops = [shared_page.locator(f"#infill-{part}").bounding_box() for part in ("run", "later", "gap", "share")]
    middles = [box["y"] + box["height"] / 2 for box in tops if box]
    assert len(middles) == 4 and max(middles) - min(middles) < 8
