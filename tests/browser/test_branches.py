"""The Branches pane as a person uses it."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, expect

from santacoder import checkpoints
from santacoder.tokenizer import Tokenizer
from tests.browser.conftest import Server, open_pane, type_name
from tests.conftest import random_model

MODEL = "test/trained"
STEPS = (10, 40, 100)


@pytest.fixture(scope="module")
def trained(server: Server, tokenizer: Tokenizer) -> None:
    """A model with two of the paper's branches: one with three commits and curves, and one with a single commit."""
    for branch, steps in (("main", STEPS), ("no-fim", (100,))):
        for step in steps:
            curve = [(at, 5 - at / 100) for at in range(10, step + 1, 10)]
            checkpoints.publish(
                random_model(step + len(branch)),
                tokenizer,
                MODEL,
                branch,
                step=step,
                tokens=step * 100_000,
                validation_loss=5 - step / 100,
                files={"curves.json": json.dumps({"validation_loss": curve, "loss": curve})},
                store=server.store,
            )
        exact = {"exact match": {"value": 0.125, "interval": [0.105, 0.145]}}
        languages = ("python", "java", "javascript")
        results = [{"benchmark": "infilling", "language": language, "scores": exact} for language in languages]
        document = json.dumps({"results": results}).encode()
        checkpoints.add_files(MODEL, branch, {"eval.json": document}, store=server.store)


@pytest.fixture
def branches(shared_page: Page, trained: None) -> Page:
    """The pane with the branch ``main``, of which nothing has been replayed."""
    page = shared_page
    if page.locator("#model input").input_value() != MODEL:
        choose_model(page, MODEL)
    open_pane(page, "Branches")
    expect(page.locator(".branch-table [data-branch]")).to_have_count(2)
    # another branch and back, because for the same commits the replay is kept
    for branch, n_commits in (("no-fim", 1), ("main", len(STEPS))):
        row = page.locator(f".branch-table [data-branch={branch}]")
        row.click()
        expect(row).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#branches-film article")).to_have_count(n_commits)
    expect(page.locator("#branches-film article pre")).to_have_count(0)
    return page


def choose_model(page: Page, name: str) -> None:
    type_name(page, "model", name)


def write_prompt(page: Page, code: str) -> None:
    page.locator("#branches-editor .cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(code)


def replay(page: Page) -> None:
    page.locator("#branches-run").click()
    expect(page.locator("#branches-film article pre")).to_have_count(page.locator("#branches-film article").count())
    expect(page.locator("#branches-run")).to_be_enabled()


def shown_frame(page: Page) -> str:
    expect(page.locator("#branches-film article.shown")).to_have_count(1)
    return page.locator("#branches-film article.shown").inner_text()


def move_to(page: Page, number: int) -> None:
    """Move the slider with the keyboard."""
    slider = page.get_by_role("slider", name="range slider for Commit")
    slider.press("Home")
    for _ in range(number - 1):
        slider.press("ArrowRight")


def test_the_table_tells_what_each_branch_is(branches: Page) -> None:
    rows = branches.locator(".branch-table tbody tr")
    expect(rows.nth(0)).to_contain_text(re.compile(r"no-fim.*left to right.*base filters", re.DOTALL))
    expect(rows.nth(1)).to_contain_text(re.compile(r"main.*final.*stronger near-deduplication", re.DOTALL))
    # a column in which the branches do not differ is left out
    expect(branches.locator(".branch-table").first).not_to_contain_text(re.compile(r"multi-query|10\.0 M"))
    expect(branches.locator(".branch-table.further")).to_contain_text("12.5 %")


def test_a_branch_is_chosen_in_the_table(branches: Page) -> None:
    branches.locator(".branch-table [data-branch=no-fim]").click()
    expect(branches.locator("#branch input")).to_have_value(re.compile("^no-fim"))
    expect(branches.locator(".branch-table [data-branch=no-fim]")).to_have_attribute("aria-pressed", "true")
    expect(branches.locator("#branches-about h3")).to_have_text("no-fim")
    # one commit: nothing to slide through, but something to write with
    expect(branches.locator("#branches-commit")).to_be_hidden()
    write_prompt(branches, "def f(")
    replay(branches)
    assert "step 100" in shown_frame(branches) and "def f(" in shown_frame(branches)


def test_one_prompt_is_replayed_over_the_commits_and_the_slider_shows_each(branches: Page) -> None:
    write_prompt(branches, "def f(")
    replay(branches)
    texts = []
    for number, step in enumerate(STEPS, 1):
        move_to(branches, number)
        expect(branches.locator(f"#branches-film article.shown[data-commit='{number}']")).to_have_count(1)
        assert f"step {step} · {step / 10:.1f} M tokens seen · loss {5 - step / 100:.3f}" in shown_frame(branches)
        expect(branches.locator(f"#branches-chart .plot .commit.shown[data-commit='{number}']")).to_have_count(1)
        texts.append(branches.locator("#branches-film article.shown pre").inner_text())
    assert len(set(texts)) == 3 and all(text.startswith("def f(") for text in texts)
    assert branches.locator("#branches-film article.shown mark").count()  # what the commit before did not write
    branches.locator("#branches-chart .plot .commit[data-commit='1']").click()
    expect(branches.locator("#branches-film article.shown[data-commit='1']")).to_have_count(1)
    assert "step 10 " in shown_frame(branches)


def test_a_replay_stops_when_another_branch_is_chosen(branches: Page, server: Server, tokenizer: Tokenizer) -> None:
    for branch, n_commits in (("main", 30), ("other", 1)):
        for step in range(n_commits):
            checkpoints.publish(random_model(step), tokenizer, "test/long", branch, step=step, store=server.store)
    choose_model(branches, "test/long")
    articles = branches.locator("#branches-film article")
    expect(articles).to_have_count(30)
    branches.locator("#branches-run").click()
    expect(branches.locator("#branches-film article pre")).not_to_have_count(0)
    branches.locator(".branch-table [data-branch=other]").click()
    expect(branches.locator("#branches-run")).to_be_enabled()
    expect(articles).to_have_count(1)
    branches.wait_for_timeout(1000)
    expect(articles).to_have_count(1)
    expect(branches.locator("#branches-film article pre")).to_have_count(0)
    expect(branches.locator("#branches-stop")).to_be_disabled()


def test_the_curve_can_be_another(branches: Page) -> None:
    drawing = branches.locator("#branches-chart svg")
    expect(drawing).to_have_attribute("aria-label", re.compile("^Validation loss.* 4.000 after 100 steps"))
    branches.locator("#branches-metric input").click()
    branches.get_by_role("option", name="Training loss").click()
    expect(drawing).to_have_attribute("aria-label", re.compile("^Training loss"))


def test_code_is_completed_with_the_model_as_it_was(branches: Page, server: Server) -> None:
    first = checkpoints.log(MODEL, "main", store=server.store)[-1]
    move_to(branches, 1)
    expect(branches.locator("#branches-film article.shown")).to_contain_text("step 10 ")
    branches.locator("#branches-use").click()
    expect(branches.locator("#complete-run")).to_be_visible()
    expect(branches.locator("#commit input")).to_have_value(re.compile(rf"^step 10 .*{first.sha[:8]}"))
    branches.locator("#complete-run").click()
    expect(branches.locator("#complete-status")).to_contain_text(f"{MODEL}@{first.sha}")


def test_a_commit_is_compared_with_the_newest(branches: Page, server: Server) -> None:
    first = checkpoints.log(MODEL, "main", store=server.store)[-1]
    move_to(branches, 1)
    expect(branches.locator("#branches-film article.shown")).to_contain_text("step 10 ")
    branches.locator("#branches-compare").click()
    expect(branches.locator("#compare-run")).to_be_visible()
    expect(branches.locator("#compare-revisions")).to_contain_text(f"{MODEL}@{first.sha[:12]}")
    expect(branches.locator("#compare-revisions")).to_contain_text(f"{MODEL}@main")


def test_what_is_replayed_is_never_markup(branches: Page) -> None:
    write_prompt(branches, "<img src=x onerror=\"document.title='broken'\">${document.title='broken'}{{value}}")
    replay(branches)
    expect(branches.locator("#branches-film article.shown pre")).to_contain_text("{{value}}")
    assert branches.title() == "SantaCoder" and not branches.locator("#branches-film img").count()


def test_a_prompt_that_is_missing_is_said(branches: Page) -> None:
    write_prompt(branches, "")
    branches.locator("#branches-editor .cm-content").click()
    branches.keyboard.press("Control+a")
    branches.keyboard.press("Delete")
    branches.locator("#branches-run").click()
    expect(branches.locator("#branches-film article.shown").get_by_role("alert")).to_contain_text(
        "There is no code to start from"
    )
    expect(branches.locator("#branches-run")).to_be_enabled()


def test_the_pane_is_not_wider_than_the_window(branches: Page) -> None:
    for width in (1440, 360):
        branches.set_viewport_size({"width": width, "height": 900})
        expect(branches.locator("#branches-chart .plot")).to_be_visible()
        assert branches.evaluate("document.documentElement.scrollWidth") <= width
    branches.set_viewport_size({"width": 1280, "height": 900})


def test_the_further_scores_are_in_sight_on_a_phone(branches: Page) -> None:
    table = branches.locator(".branch-table.further")
    branches.set_viewport_size({"width": 390, "height": 844})
    expect(table.locator("tbody th")).to_have_text(re.compile("^Lines filled in, prefix first ↑"))
    assert table.evaluate("(table) => table.scrollWidth <= table.clientWidth")
    branches.set_viewport_size({"width": 1280, "height": 900})


def test_the_published_experiments_are_shown_without_their_weights_and_a_model_that_is_not_here_is_said(
    branches: Page,
) -> None:
    choose_model(branches, "bigcode/santacoder")
    expect(branches.locator(".branch-table [data-branch]")).to_have_count(8)
    row = branches.locator(".branch-table tbody tr", has_text="dedup-alt")
    expect(row).to_contain_text(re.compile(r"stronger near-deduplication.*118 B.*37\.0 %.*38\.0 %", re.DOTALL))
    branches.locator(".branch-table [data-branch=mha]").click()
    expect(branches.locator("#branches-about")).to_contain_text("hf download bigcode/santacoder --revision mha")
    expect(branches.locator("#branches-run")).to_be_hidden()
    choose_model(branches, "no/such")
    expect(branches.locator("#branches").get_by_role("alert")).to_contain_text("There is no model 'no/such' here")
