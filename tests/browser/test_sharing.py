"""Shares as seen by those who create, open, like, report, hide and delete them."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, Page, expect

from app.generation.records import MARK, Generation
from app.shares.store import ShareStore
from santacoder import checkpoints
from tests.app.shares.generations import generation
from tests.browser.conftest import MODERATOR_KEY, Server, open_advanced, open_pane
from tests.browser.test_attribution import QUAYS
from tests.browser.test_compare import run as compare
from tests.browser.test_playground import open_infill, read, run, set_parameter, write
from tests.santacoder.attribution.conftest import File, write_index

HOSTILE = (
    '<script>window.hacked=1</script><img src="hacked" onerror="window.hacked=1"><svg onload="window.hacked=1"></svg>'
    '${window.hacked=1}`${window.hacked=1}`{{constructor.constructor("window.hacked=1")()}}</textarea></pre>'
    '<a href="javascript:window.hacked=1">x</a>"onfocus="window.hacked=1" autofocus="'
)


@pytest.fixture
def page(shared_page: Page) -> Page:
    """The author's page, in the Complete pane."""
    open_pane(shared_page, "Complete")
    set_parameter(shared_page, "number input for Candidates", "1")
    return shared_page


@pytest.fixture
def visitor(chromium: Browser) -> Iterator[Page]:
    """Another user with a fresh browser; the test fails if a script fails or is blocked."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on("console", lambda message: "Content Security Policy" in message.text and failures.append(message.text))
    page.on("dialog", lambda dialog: failures.append(dialog.message))
    yield page
    context.close()
    assert not failures


PLACES_IN_THE_ROW = """["run", "undo", "share"].map((name) => {
  const [run, box] = ["run", name].map((part) => document.querySelector(`#complete-${part}`).getBoundingClientRect());
  return [Math.round(box.x), Math.round(box.y - run.y)];
})"""


def share(page: Page, pane: str, title: str) -> tuple[str, str]:
    """Press Share and enter the title; returns the permalink and the deletion link."""
    links = page.locator(f"#{pane}-share-panel input.permalink"), page.locator(f"#{pane}-share-panel input.deletion")
    if links[0].is_visible():  # of the share before
        page.locator(f"#{pane}-share-close").click()
        expect(links[0]).to_be_hidden()
    page.locator(f"#{pane}-share").click()
    page.locator(f"#{pane}-share-title").get_by_role("textbox").fill(title)
    page.locator(f"#{pane}-share-publish").click()
    expect(links[0]).to_be_visible()
    return links[0].input_value(), links[1].input_value()


def open_share(page: Page, permalink: str) -> None:
    page.goto(permalink)
    expect(page.locator("#shared")).to_be_visible()
    expect(page.locator("#shared-title .shared-title")).to_be_visible()


def parameters(page: Page) -> list[str]:
    fields = page.locator("#parameters input[type=number], #parameters textarea, #parameters input[type=text]")
    return [field.input_value() for field in fields.all()]


def test_nothing_is_shared_before_a_run_and_secrets_are_warned_of(page: Page) -> None:
    expect(page.locator("#complete-share")).to_be_disabled()
    notice = page.locator("#complete-share-notice")
    write(page, "complete", 'x = 1\npassword = "correct horse"\nkey = "AKIAQ6F5KD2VTX3PLM7Z"\n')
    set_parameter(page, "number input for Maximum length", "3")
    run(page, "complete")
    page.locator("#complete-share").click()
    expect(notice.get_by_role("alert")).to_contain_text("line 2: password")
    expect(notice.get_by_role("alert")).to_contain_text("line 3: key")
    assert "horse" not in notice.inner_text()
    expect(page.locator("#complete-share-publish")).to_have_text("Share anyway")
    page.locator("#complete-share-close").click()
    expect(notice).to_be_hidden()


@pytest.mark.slow
def test_a_share_from_run_to_deletion(page: Page, visitor: Page, server: Server) -> None:
    write(page, "complete", "def unmistakably_shared(a):")
    set_parameter(page, "number input for Maximum length", "12")
    set_parameter(page, "number input for Candidates", "2")
    set_parameter(page, "number input for Temperature", "0.9")
    run(page, "complete")
    page.locator("#complete-later").click()
    expect(page.locator("#complete-page")).to_contain_text("2 of 2")
    written, status = read(page, "complete"), page.locator("#complete-status .status").first.text_content() or ""
    tokens = page.locator("#complete-tokens").inner_text()
    places = page.evaluate(PLACES_IN_THE_ROW)
    permalink, deletion = share(page, "complete", "The shared one")
    assert page.evaluate(PLACES_IN_THE_ROW) == places  # the panel is below the buttons
    assert re.fullmatch(rf"{server.url}/s/\w{{8}}", permalink)

    open_share(visitor, permalink)
    expect(visitor.locator("#complete-status")).to_contain_text(status)
    expect(visitor.locator("#complete-page")).to_contain_text("2 of 2")
    assert read(visitor, "complete") == written and visitor.locator("#complete-tokens").inner_text() == tokens
    seed = re.search(r"seed (\d+)", status)
    open_advanced(visitor)
    shared_parameters = parameters(visitor)
    assert {"12", "2", "0.9"} <= set(shared_parameters)
    # the likelier of the two stands first; its seed is the shared one or the one after
    assert seed and {seed[1], str(int(seed[1]) - 1)} & set(shared_parameters)
    expect(visitor.locator("#shared-title")).to_contain_text("The shared one")
    expect(visitor.locator("#commit input")).to_have_value(re.compile(r" [0-9a-f]{8}$"))

    # what the model writes again is the same
    visitor.locator("#shared-rerun").click()
    expect(visitor.locator("#complete-page")).to_contain_text("1 of 2")
    expect(visitor.locator("#complete-run")).to_be_enabled()
    visitor.locator("#complete-later").click()
    expect(visitor.locator("#complete-page")).to_contain_text("2 of 2")
    assert read(visitor, "complete") == written

    # a fork begins from the same code and is nobody's share
    visitor.locator("#shared-fork").click()
    expect(visitor.locator("#shared")).to_be_hidden()
    assert read(visitor, "complete") == "def unmistakably_shared(a):" and "share=" not in visitor.url
    assert parameters(visitor) == shared_parameters

    open_pane(visitor, "Gallery")
    card = visitor.locator(".card", has_text="The shared one")
    expect(card).to_have_count(1)
    visitor.locator("#gallery-search").get_by_role("textbox").fill("nothing_of_that_name")
    expect(visitor.locator("#gallery-cards")).to_contain_text("No shares match")
    visitor.locator("#gallery-search").get_by_role("textbox").fill("unmistak")
    expect(card).to_have_count(1)
    card.locator(".like").click()
    expect(card.locator(".like")).to_have_attribute("aria-pressed", "true")
    expect(card.locator(".like span")).to_have_text("1")
    card.locator(".report").click()
    visitor.locator("#report-reason").fill("It is not nice.")
    visitor.get_by_role("button", name="Send report").click()
    expect(visitor.locator("#said")).to_have_text("Thank you. A moderator will look at it.")

    _moderate(visitor, server, "Hide it")
    response = visitor.goto(permalink)
    assert response and response.status == 404
    expect(visitor.locator("main")).to_contain_text("hidden by a moderator")
    _moderate(visitor, server, "Show it again")
    open_share(visitor, permalink)
    visitor.locator("#shared-dismiss").click()
    expect(visitor.locator("#shared")).to_be_hidden()
    visitor.wait_for_url(re.compile(r"/(\?(?!.*share=).*)?$"))
    assert read(visitor, "complete") == written

    visitor.goto(deletion)
    visitor.get_by_role("button", name="Delete it for good").click()
    expect(visitor.locator("h1")).to_have_text("Deleted")
    visitor.goto(permalink)
    expect(visitor.locator("main")).to_contain_text("its author may have deleted it")


@pytest.mark.slow
def test_a_share_tells_where_its_code_is_from(page: Page, visitor: Page, server: Server) -> None:
    index = server.store / "attribution--test--tiny"
    if not index.exists():
        write_index(index, [[File("harbour/quays.py", QUAYS, registry="pypi")]], with_text=False)
    write(page, "complete", QUAYS)
    run(page, "complete")
    found = "1 passage found in training files of harbour"
    expect(page.locator("#complete-origin-badge")).to_contain_text(found)
    permalink, _ = share(page, "complete", "Copied")
    index.rename(index.with_name("moved"))  # what was found is part of the share

    open_share(visitor, permalink)
    expect(visitor.locator("#complete-origin-badge")).to_contain_text(found)
    visitor.get_by_role("tab", name="Origin").first.click()
    expect(visitor.locator("#complete-origins")).to_contain_text("harbour/quays.py")
    index.with_name("moved").rename(index)


@pytest.mark.slow
def test_a_comparison_is_shared_and_its_link_shows_it_and_runs_it_again(page: Page, visitor: Page) -> None:
    open_pane(page, "Compare")
    expect(page.locator("#compare-revisions")).to_contain_text("test/tiny@other")
    expect(page.locator("#compare-share")).to_be_disabled()
    write(page, "compare", "function compared(")
    page.locator("#compare-language").get_by_text("JavaScript").click()
    set_parameter(page, "number input for Maximum length", "9")
    set_parameter(page, "number input for Temperature", "0.7")
    compare(page)
    written = page.locator(".compared").all_inner_texts()
    permalink, _ = share(page, "compare", "Two of them")

    open_share(visitor, permalink)
    expect(visitor.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    expect(visitor.locator(".compared")).to_have_count(2)
    assert visitor.locator(".compared").all_inner_texts() == written
    assert read(visitor, "compare") == "function compared("
    expect(visitor.locator("#compare-language input:checked")).to_have_value("javascript")
    assert {"9", "0.7"} <= set(parameters(visitor))
    expect(visitor.locator("#shared-title")).to_contain_text("test/tiny@other")

    # the exact commits write the same again
    texts = visitor.locator(".compared pre").all_inner_texts()
    expect(visitor.locator("#compare-revisions .token-remove")).to_have_count(2 + 1)  # and one for all
    assert not re.search("@main|@other", visitor.locator("#compare-revisions").inner_text())
    visitor.locator("#shared-rerun").click()
    expect(visitor.locator(".compared h3").first).not_to_have_text("test/tiny@main")
    expect(visitor.locator("#compare-run")).to_be_enabled()
    assert visitor.locator(".compared pre").all_inner_texts() == texts

    open_pane(visitor, "Gallery")
    card = visitor.locator(".card", has_text="Two of them")
    expect(card).to_contain_text("JavaScript · Compared test/tiny@main and others")


def _moderate(page: Page, server: Server, button: str) -> None:
    context = page.context.browser.new_context(http_credentials={"username": "any", "password": MODERATOR_KEY})  # type: ignore[union-attr]
    moderation = context.new_page()
    moderation.goto(f"{server.url}/moderation")
    report = moderation.locator("article", has_text="The shared one")
    expect(report).to_contain_text("It is not nice.")
    report.get_by_role("button", name=button).click()
    expect(moderation.get_by_role("button", name=button)).to_have_count(0)
    context.close()


@pytest.mark.slow
def test_an_infilling_opens_in_its_pane_and_a_share_that_is_gone_is_said(
    page: Page, visitor: Page, server: Server
) -> None:
    open_infill(page)
    write(page, "infill", f"before = 1\nx = {MARK}\nafter = 2")
    set_parameter(page, "number input for Maximum length", "6")
    run(page, "infill")
    permalink, _ = share(page, "infill", "")
    open_share(visitor, permalink)
    expect(visitor.get_by_role("tab", name="Fill in the middle")).to_have_attribute("aria-selected", "true")
    assert read(visitor, "infill") == read(page, "infill")
    visitor.goto(f"{server.url}/?share=absent99")
    expect(visitor.locator("#shared").get_by_role("alert")).to_contain_text("its author may have deleted it")
    expect(visitor.locator("#complete-run")).to_be_enabled()


@pytest.mark.slow
def test_a_store_that_is_busy_is_a_sentence_and_the_page_keeps_everything(page: Page) -> None:
    write(page, "complete", "def busy(")
    set_parameter(page, "number input for Maximum length", "3")
    run(page, "complete")
    written = read(page, "complete")
    page.locator("#complete-share").click()
    expect(page.locator("#complete-share-publish")).to_be_visible()
    path = os.environ["SANTACODER_DATABASE_URL"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        page.locator("#complete-share-publish").click()
        notice = page.locator("#complete-share-notice")
        expect(notice).to_contain_text("busy, and nothing was changed")
        other.execute("ROLLBACK")
    assert read(page, "complete") == written
    page.locator("#complete-share-publish").click()
    expect(page.locator("#complete-share-panel input.permalink")).to_be_visible()


def _hostile(server: Server) -> Generation:
    sha = checkpoints.resolve("test/tiny", "main", store=server.store).name
    code = f"# \u202e\u2066 \x1b[31m {HOSTILE}\n"
    shared = generation(code, texts=(HOSTILE + "\u202e",), revision="main")
    return Generation(**{**vars(shared), "repo_id": "test/tiny", "sha": sha})


@pytest.mark.slow
def test_no_text_of_a_share_becomes_html(visitor: Page, server: Server, shares: ShareStore) -> None:
    slug = shares.add(_hostile(server), HOSTILE[:120]).slug
    open_share(visitor, f"{server.url}/s/{slug}")
    expect(visitor.locator("#complete-status")).to_contain_text("seed 7")
    # the editor shows what turns the direction around, and escapes of terminals
    expect(visitor.locator("#complete-editor .cm-specialChar").first).to_be_visible()
    open_pane(visitor, "Gallery")
    expect(visitor.locator(".card").first).to_be_visible()
    card = visitor.locator(f'.card[data-slug="{slug}"]')
    expect(card.get_by_role("group", name="Code")).to_contain_text("<script>")
    assert "‹U+202E›" in card.inner_text() and "<script>" in card.inner_text()
    visitor.wait_for_timeout(500)
    assert visitor.evaluate("window.hacked") is None
    made = "img[src=hacked], svg[onload], [onerror], [onfocus], a[href^='javascript:'], .card script"
    assert visitor.locator(made).count() == 0
