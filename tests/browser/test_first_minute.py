"""What a visitor meets first: an answered example, buttons in sight, one pill for the revision."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from app.ui.code_pane.example_code import presets
from santacoder import checkpoints
from tests.browser.conftest import Server, open_pane, open_picker, pick
from tests.browser.test_accessibility import serious_problems
from tests.browser.test_playground import read, set_parameter

_VIEW = "document.querySelector('#complete-editor .cm-content').cmTile.root.view"


def test_the_example_is_answered_before_anything_is_pressed(page: Page) -> None:
    ghost, content = page.locator(".ghost"), page.locator("#complete-editor .cm-content")
    expect(ghost).to_be_visible()
    text = ghost.evaluate("(element) => element.firstChild.textContent")
    assert text.strip() and content.get_attribute("aria-description")
    assert serious_problems(page) == []  # the other panes are among the slow tests
    content.click()
    page.keyboard.press("Control+End")
    page.keyboard.type("x")
    expect(ghost).to_have_count(0)
    assert read(page, "complete").endswith(":x") and not content.get_attribute("aria-description")
    # the second example, then the first one again
    for number in (1, 0):
        page.locator("#complete-preset input").click()
        page.get_by_role("option").nth(number).click()
        expect(ghost).to_be_visible()
    page.wait_for_function("(text) => document.querySelector('.ghost')?.firstChild.textContent === text", arg=text)
    content.click()
    page.keyboard.press("Tab")
    expect(ghost).to_have_count(0)
    written = page.evaluate(f"{_VIEW}.state.doc.toString()")
    assert written == next(iter(presets("complete", "python").values())) + text
    set_parameter(page, "number input for Maximum length", "8")
    page.locator("#complete-run").click()
    expect(page.locator("#complete-undo")).to_be_enabled()
    expect(ghost).to_have_count(0)


def test_undo_and_share_are_active_when_there_is_something(shared_page: Page) -> None:
    page = shared_page
    set_parameter(page, "number input for Maximum length", "8")
    buttons = [page.locator(f"#complete-{name}") for name in ("undo", "share")]
    for button in buttons:
        expect(button).to_be_disabled()
    page.locator("#complete-run").click()
    for button in buttons:
        expect(button).to_be_enabled()
    page.locator("#complete-undo").click()
    for button in buttons:
        expect(button).to_be_disabled()


def test_run_is_in_sight_at_every_height_and_scroll_position(shared_page: Page) -> None:
    page = shared_page
    open_buttons = page.locator("#complete-run"), page.locator("#complete-stop"), page.locator("#complete-retry")
    for size in ({"width": 1440, "height": 900}, {"width": 1024, "height": 480}, {"width": 390, "height": 844}):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        for share in (0, 0.5, 1):
            page.evaluate(
                """async (share) => {
                    scrollTo(0, share * (document.documentElement.scrollHeight - innerHeight));
                    await new Promise(requestAnimationFrame);
                }""",
                share,
            )
            for button in open_buttons:
                box = button.bounding_box()
                assert box and box["y"] >= 0 and box["y"] + box["height"] <= size["height"], (size, share)
                if size["width"] == 390:
                    assert box["y"] > size["height"] - 80
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    page.set_viewport_size({"width": 1280, "height": 900})


def test_the_picker_is_used_with_the_keyboard(page: Page, server: Server) -> None:
    pill, picker = page.locator("#pill"), page.locator("#picker")
    expect(pill).to_have_text(re.compile("tiny · main · latest"))
    pill.focus()
    page.keyboard.press("Enter")
    expect(picker).to_be_visible()
    expect(page.locator(".choice[data-kind=branch]")).to_have_count(2)
    expect(page.locator(".choice:focus")).to_have_attribute("data-kind", "model")
    page.locator(".choice[data-value=other]").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".choice[data-value=other]")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".choice:focus")).to_have_attribute("data-value", "other")
    page.keyboard.press("Escape")
    expect(picker).to_be_hidden()
    expect(pill).to_be_focused()
    expect(pill).to_have_text(re.compile("tiny · other · latest"))
    page.wait_for_url(re.compile("branch=other"))
    page.reload()
    expect(pill).to_have_text(re.compile("tiny · other · latest"))
    # with every pane
    open_pane(page, "Gallery")
    pick(page, "branch", "main")
    expect(pill).to_have_text(re.compile("tiny · main · latest"))


@pytest.mark.slow
def test_nothing_can_be_chosen_before_the_menus_are_filled(chromium: Browser, server: Server) -> None:
    """Otherwise they would overwrite it."""
    page = chromium.new_page()
    page.add_init_script(
        """window.seen = [];
        new MutationObserver(() => {
          const pill = document.querySelector("#pill");
          if (pill) seen.push(pill.disabled);
        }).observe(document, { childList: true, subtree: true, attributes: true });"""
    )
    page.goto(server.url)
    pick(page, "branch", "other")
    seen = page.evaluate("seen")
    assert seen[0] and seen == sorted(seen, reverse=True)
    expect(page.locator("#branch input")).to_have_value(re.compile("^other — "))
    expect(page.locator("#pill")).to_have_text(re.compile("tiny · other"))
    page.close()


def test_a_commit_is_chosen_on_the_curve(shared_page: Page, server: Server) -> None:
    """A further training, whose steps count from 0 again, is newer than what it began with."""
    page = shared_page
    model, tokenizer = checkpoints.load("test/tiny", "other", store=server.store)
    curve = '{"validation_loss": [[10, 3.0], [20, 2.5], [30, 2.25]]}'
    try:
        for step, loss in ((40, 3.5), (20, 2.5), (30, 2.25)):
            checkpoints.publish(
                model, tokenizer, "test/tiny", "staged", step=step, validation_loss=loss,
                files={"curves.json": curve}, store=server.store,
            )  # fmt: skip
        second = checkpoints.log("test/tiny", "staged", store=server.store)[1]
        pick(page, "branch", "staged")
        open_picker(page)
        names = page.locator(".choice[data-kind=commit] b")
        expect(names).to_have_text(["stage 2, step 30", "stage 2, step 20", "stage 1, step 40"])
        points = page.locator("#picker-lists .commit")
        expect(points).to_have_count(2)
        points.first.click()
        expect(page.locator(".choice[data-kind=commit][aria-pressed=true]")).to_contain_text(second.sha[:8])
        expect(page.locator("#picker-lists .commit.shown")).to_have_attribute("data-commit", "2")
        expect(page.locator("#pill")).to_contain_text(second.sha[:8])
    finally:
        (server.store / "models--test--tiny" / "refs" / "staged").unlink(missing_ok=True)


def test_confidence_is_in_the_editor_and_an_instruction_gets_a_hint(page: Page) -> None:
    heats = "[...CSS.highlights].filter(([name]) => name.startsWith('heat-')).flatMap(([, ranges]) => [...ranges])"
    set_parameter(page, "number input for Maximum length", "8")  # so that all of it is in sight
    page.locator("#complete-run").click()
    expect(page.locator("#complete-undo")).to_be_enabled()
    expect(page.locator("#announced")).to_have_text(re.compile(r"\d+ tokens"))
    page.wait_for_function(f"{heats}.length > 0")
    # the coloured tokens are those of the heat map, with the same text; a random model writes characters, too, that the
    # editor shows as others
    texts = page.evaluate(f"{heats}.map((range) => range.toString().trim()).filter(Boolean)")
    tokens = [text.replace("↵", "") for text in page.locator("#complete-tokens .token").all_text_contents()]
    assert texts and 2 * sum(any(text in token for token in tokens) for text in texts) > len(texts)
    box = page.evaluate(f"{heats}.find((range) => range.toString().trim()).getBoundingClientRect().toJSON()")
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator("#alternatives .heading")).to_contain_text("%")
    expect(page.locator("#complete-editor .cm-content")).to_be_focused()
    page.evaluate("document.dispatchEvent(new Event('scroll'))")  # reported late: nothing moves
    expect(page.locator("#alternatives")).to_be_visible()
    page.mouse.wheel(0, 40)  # away from its token
    expect(page.locator("#alternatives")).to_be_hidden()
    page.evaluate("scrollTo(0, 0)")
    for key in ("ArrowLeft", "z"):  # the caret leaves the token, or the text is changed
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        expect(page.locator("#alternatives .heading")).to_contain_text("%")
        page.keyboard.press(key)
        expect(page.locator("#alternatives")).to_be_hidden()
    page.wait_for_function(f"{heats}.length === 0")  # edited text is the user's

    content, hint = page.locator("#complete-editor .cm-content"), page.locator("#complete-hint button")
    page.keyboard.press("Control+a")
    page.keyboard.type("Write a function that adds two numbers")
    expect(hint).to_be_visible()
    page.locator("#complete-preset input").click()  # the code is replaced without a key
    page.get_by_role("option").first.click()
    expect(hint).to_be_hidden()
    content.click()
    page.keyboard.press("Control+a")
    page.keyboard.type("Write a function that adds two numbers")
    hint.click()
    expect(content).to_contain_text("# Write a function that adds two numbers")
    page.keyboard.type("add")
    expect(content).to_contain_text("def add")
    expect(hint).to_be_hidden()


def test_confidence_stays_off_in_a_pane_that_is_opened_later_and_after_a_reload(page: Page) -> None:
    page.locator("#complete-confidence input").uncheck()
    open_pane(page, "Fill in the middle")
    box, legend = page.locator("#infill-confidence input"), page.locator("#infill-confidence .legend-scale")
    page.wait_for_url(re.compile("pane=infill"))  # a moment later
    for _ in range(2):
        expect(box).to_be_visible()
        expect(box).not_to_be_checked()
        expect(legend).to_be_hidden()
        page.reload()  # with the same pane
    box.check()
    expect(legend).to_be_visible()


def test_a_page_at_rest_draws_nothing(shared_page: Page) -> None:
    """Gradio's timers would draw 60 times a second."""
    page = shared_page
    expect(page.locator("#complete-stop")).to_be_disabled()
    page.evaluate(
        """() => {
          const request = window.requestAnimationFrame;
          window.asked = 0;
          window.requestAnimationFrame = (draw) => (window.asked++, request(draw));
        }"""
    )
    page.wait_for_function(  # a page that has just been loaded is not at rest yet
        """() => new Promise((resolve) => {
             const before = asked;
             setTimeout(() => resolve(asked - before < 10), 1000);
           })""",
        polling=100,
    )


def test_keys_are_outlined_and_not_named_on_a_phone(shared_page: Page) -> None:
    page = shared_page
    key = page.locator("#complete-status kbd, #footnote kbd").first
    expect(key).to_be_visible()
    expect(key).to_have_css("border-top-width", "1px")
    page.set_viewport_size({"width": 390, "height": 844})
    expect(key).to_be_hidden()
    page.set_viewport_size({"width": 1280, "height": 900})
