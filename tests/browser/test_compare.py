"""The Compare pane as a person uses it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import open_pane

REVISIONS = ["test/tiny@main", "test/tiny@other"]


@pytest.fixture(scope="module")
def suggested(shared_page: Page) -> Page:
    """The pane, which suggests the two branches of the model."""
    open_pane(shared_page, "Compare")
    for name in REVISIONS:
        expect(shared_page.locator("#compare-revisions")).to_contain_text(name)
    return shared_page


@pytest.fixture
def compare(suggested: Page) -> Page:
    """The pane with the two branches of the model."""
    open_pane(suggested, "Compare")
    if chosen_revisions(suggested) != REVISIONS:
        suggested.locator("#compare-revisions .token-remove.remove-all").click()
        for name in REVISIONS:
            add_revision(suggested, name)
    assert chosen_revisions(suggested) == REVISIONS
    return suggested


def chosen_revisions(page: Page) -> list[str]:
    return [text.strip() for text in page.locator("#compare-revisions .token span").all_inner_texts()]


def write(page: Page, code: str) -> None:
    page.locator("#compare-editor .cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(code)


def set_new_tokens(page: Page, count: int) -> None:
    field = page.get_by_label("number input for Maximum length").locator("visible=true").first
    field.fill(str(count))
    field.press("Tab")


def run(page: Page, keys: str = "") -> None:
    """Press Compare, or ``keys``, and wait for the end."""
    before = page.locator("#compare-columns").inner_html()
    if keys:
        page.keyboard.press(keys)
    else:
        page.locator("#compare-run").click()
    page.wait_for_function(
        """(before) => {
            const columns = document.querySelector("#compare-columns");
            // what differs are at least the times
            return columns.innerHTML !== before && columns.querySelector(".columns[data-running=false]");
        }""",
        arg=before,
    )
    expect(page.locator("#compare-run")).to_be_enabled()


def add_revision(page: Page, name: str) -> None:
    page.locator("#compare-revisions input").fill(name)
    page.locator("#compare-revisions input").press("Enter")
    expect(page.locator("#compare-revisions")).to_contain_text(name)


def remove_last(page: Page) -> None:
    page.locator("#compare-revisions .token-remove").nth(1).click()
    expect(page.locator("#compare-revisions")).not_to_contain_text("test/tiny@other")


def show(page: Page, view: str) -> None:
    page.locator("#compare-view").get_by_text(view).click()


def test_the_results_come_into_sight(compare: Page) -> None:
    compare.evaluate("scrollTo(0, 0)")
    run(compare)
    expect(compare.locator("#compare-columns h3").first).to_be_in_viewport()
    expect(compare.locator("#compare-run")).to_be_in_viewport()
    compare.evaluate("scrollTo(0, 0)")


def test_two_revisions_write_at_the_same_time(compare: Page) -> None:
    write(compare, "def add(a, b):")
    set_new_tokens(compare, 150)
    compare.evaluate(
        """() => {
            window.lengths = [];
            new MutationObserver(() => {
                const texts = [...document.querySelectorAll(".columns[data-running=true] .compared pre")];
                if (texts.length === 2) window.lengths.push(texts.map((text) => text.innerText.length));
            }).observe(document.body, { childList: true, characterData: true, subtree: true });
        }"""
    )
    run(compare)
    lengths = compare.evaluate("window.lengths")
    assert len({left for left, _ in lengths}) > 2 and len({right for _, right in lengths}) > 2
    columns = compare.locator(".compared")
    expect(columns).to_have_count(2)
    for column, name in zip(columns.all(), ("test/tiny@main", "test/tiny@other"), strict=True):
        expect(column.locator("h3")).to_have_text(name)
        expect(column.locator("pre")).to_contain_text("def add(a, b):")
        expect(column).to_contain_text(re.compile(r"[\d,]+ tokens/s"))
        expect(column.locator("mark").first).to_be_visible()


def test_probabilities_are_a_heat_map(compare: Page) -> None:
    set_new_tokens(compare, 8)
    run(compare)
    show(compare, "Probabilities")
    expect(compare.locator(".compared .tokens")).to_have_count(2)
    expect(compare.locator(".compared").first.locator(".token")).to_have_count(8)
    show(compare, "Differences")
    expect(compare.locator(".compared pre")).to_have_count(2)


def test_the_same_revision_twice_differs_in_nothing(compare: Page) -> None:
    set_new_tokens(compare, 12)
    remove_last(compare)
    add_revision(compare, "test/tiny")
    run(compare)
    expect(compare.locator(".compared pre")).to_have_count(2)
    expect(compare.locator(".compared mark")).to_have_count(0)


def test_a_gap_is_filled_by_each(compare: Page) -> None:
    write(compare, "x = <FILL_HERE>\ny = <FILL_HERE>\nz = 2")
    set_new_tokens(compare, 8)
    run(compare)
    for column in compare.locator(".compared pre").all():
        expect(column).to_contain_text(re.compile(r"^x = (?s:.*)\ny = "))
        expect(column).not_to_contain_text("FILL_HERE")


def test_a_revision_that_is_not_there_is_said_beside_one_that_writes(compare: Page) -> None:
    set_new_tokens(compare, 8)
    add_revision(compare, "test/tiny@<b>nope</b>")
    run(compare)
    expect(compare.locator(".compared")).to_have_count(3)
    expect(compare.locator(".compared").nth(2).get_by_role("alert")).to_contain_text("'<b>nope</b>'")
    expect(compare.locator(".compared pre")).to_have_count(2)


def test_one_revision_is_nothing_to_compare(compare: Page) -> None:
    remove_last(compare)
    compare.locator("#compare-run").click()
    expect(compare.locator("#compare").get_by_role("alert")).to_contain_text("not 1")
    expect(compare.locator("#compare-run")).to_be_enabled()


def test_stop_keeps_what_was_written(compare: Page) -> None:
    set_new_tokens(compare, 512)
    compare.locator("#compare-run").click()
    expect(compare.locator(".columns[data-running=true] .compared pre")).to_have_count(2)
    compare.locator("#compare-stop").click()
    expect(compare.locator("#compare-run")).to_be_enabled()
    expect(compare.locator(".compared pre")).to_have_count(2)


def test_the_keyboard_compares(compare: Page) -> None:
    set_new_tokens(compare, 6)
    write(compare, "k = 1")
    run(compare, "Control+Enter")
    expect(compare.locator(".compared pre")).to_have_count(2)


@pytest.mark.slow
def test_a_blind_comparison_hides_names_until_a_vote_which_becomes_a_win_rate(compare: Page) -> None:
    page = compare
    write(page, "def blind(a, b):")
    set_new_tokens(page, 8)
    page.get_by_label("Blind").check()
    run(page)
    for told in ("test/tiny", "tokens/s", "Perplexity", "Commit"):
        expect(page.locator("#compare-columns")).not_to_contain_text(told)
    assert page.locator("#compare-columns h3").all_inner_texts() == ["A", "B"]
    expect(page.locator("#compare-vote-C")).to_be_hidden()
    show(page, "Probabilities")
    expect(page.locator("#compare-columns .token").first).to_be_visible()
    expect(page.locator("#compare-columns")).not_to_contain_text("test/tiny")
    page.locator("#compare-vote-B").click()
    expect(page.locator("#compare-voted")).to_contain_text(re.compile(r"You voted for test/tiny@(main|other)\."))
    expect(page.locator("#compare-votes")).to_be_hidden()
    _, chosen = page.locator("#compare-columns h3").all_inner_texts()
    assert re.fullmatch(r"B · test/tiny@(main|other)", chosen)
    run(page)
    page.locator("#compare-vote-tie").click()
    expect(page.locator("#compare-voted")).to_contain_text("You")
    page.get_by_label("Blind").uncheck()
    run(page)
    expect(page.locator("#compare-columns")).to_contain_text("tokens/s")
    expect(page.locator("#compare-votes")).to_be_hidden()
    open_pane(page, "Branches")
    winner = page.locator("#branches-table tbody tr", has=page.locator(f"[data-branch={chosen.partition('@')[2]}]"))
    expect(page.locator("#branches-table thead")).to_contain_text("Blind votes won")
    expect(winner).to_contain_text(re.compile(r"(100|75) %"))
