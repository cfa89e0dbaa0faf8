"""The visitor's own code: nothing of it is shared or sent unseen, and opened shares leave it as it is."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from app.generation.records import Generation
from app.shares.store import ShareStore
from santacoder import checkpoints
from tests.app.shares.generations import generation
from tests.browser.conftest import Server
from tests.browser.test_playground import run, set_parameter, write

CODE = "document.querySelector('#%s-editor .cm-content')?.cmTile?.root?.view?.state.doc.toString()"


def of_server(server: Server, shared: Generation, branch: str = "main") -> Generation:
    """``shared`` as written by a branch of the server's model."""
    sha = checkpoints.resolve("test/tiny", branch, store=server.store).name
    return replace(shared, repo_id="test/tiny", revision=branch, sha=sha)


def expect_code(page: Page, code: str, pane: str = "complete") -> None:
    page.wait_for_function(f"(code) => {CODE % pane} === code", arg=code)


def until_kept(page: Page, name: str, value: str) -> None:
    kept = "([name, value]) => sessionStorage.getItem(`santacoder.${name}`)?.includes(value)"
    page.wait_for_function(kept, arg=[name, value])


def until_ready(page: Page) -> None:
    expect(page.locator("#branch input")).to_have_value(re.compile(" — "))
    expect(page.locator("#pill")).to_be_enabled()


def test_what_has_changed_since_share_was_pressed_is_shown_again(shared_page: Page) -> None:
    page = shared_page
    notice, publish = page.locator("#complete-share-notice"), page.locator("#complete-share-publish")
    set_parameter(page, "number input for Maximum length", "8")
    write(page, "complete", "x = 1\n")
    run(page, "complete")
    page.locator("#complete-share").click()
    expect(publish).to_have_text("Create link")
    write(page, "complete", 'x = 1\npassword = "correct horse"\n')
    set_parameter(page, "number input for Candidates", "2")
    set_parameter(page, "number input for Temperature", "1")
    run(page, "complete")
    publish.click()
    expect(notice.get_by_role("alert")).to_contain_text("has changed since you pressed Share")
    expect(notice.get_by_role("alert")).to_contain_text("line 2: password")
    expect(publish).to_have_text("Share anyway")
    page.locator("#complete-share").click()
    expect(notice).not_to_contain_text("has changed")
    page.locator("#complete-later").click()
    expect(page.locator("#complete-page")).to_contain_text("2 of 2")
    publish.click()
    expect(notice).to_contain_text("has changed")
    expect(page.locator("input.permalink")).to_have_count(0)
    publish.click()
    expect(page.locator("#complete-permalink")).to_have_value(re.compile("/s/"))


@pytest.fixture
def link(server: Server, shares: ShareStore) -> str:
    """The address of an opened share."""
    shared = of_server(server, generation("def shared(a):", texts=("\n    return a",)))
    return f"{server.url}/?share={shares.add(shared, 'Shared').slug}"


def test_looking_at_a_share_leaves_ones_own_code_and_parameters(blank_page: Page, server: Server, link: str) -> None:
    page, temperature = blank_page, blank_page.get_by_label("number input for Temperature")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    page.goto(server.url)
    until_ready(page)
    write(page, "complete", "mine = 1")
    set_parameter(page, "number input for Temperature", "0.7")
    for name, value in (("complete", "mine"), ("parameters", "0.7")):
        until_kept(page, f"kept.{name}", value)
    page.goto(link)
    expect_code(page, "def shared(a):\n    return a")
    expect(temperature).to_have_value("0.8")
    page.goto(server.url)
    until_ready(page)
    expect_code(page, "mine = 1")
    expect(temperature).to_have_value("0.7")
    # only an example is sent for a suggestion
    assert any("answer?" in url for url in sent) and not any("mine" in url for url in sent)


@pytest.mark.slow
def test_what_is_made_of_a_share_is_kept(blank_page: Page, link: str) -> None:
    page = blank_page
    page.goto(link)
    expect_code(page, "def shared(a):\n    return a")
    write(page, "complete", "edited = 1")
    until_kept(page, "share.complete", "edited")
    page.reload()  # as when the server has been started again
    expect(page.locator("#shared-title")).to_contain_text("Shared")
    expect_code(page, "edited = 1")
    expect(page.locator("#complete-share")).to_be_disabled()
    page.goto(link)  # shows what was shared
    expect_code(page, "def shared(a):\n    return a")

    # a fork is the visitor's own
    page.locator("#shared-fork").click()
    expect(page.locator("#shared")).to_be_hidden()
    expect_code(page, "def shared(a):")
    expect(page.locator("#complete-status")).to_contain_text("Ready")  # nothing tells of the shared text
    expect(page.locator("#complete-tokens .token")).to_have_count(0)
    expect(page.locator("#complete-undo")).to_be_disabled()
    until_kept(page, "kept.parameters", "0.8")
    page.reload()
    until_ready(page)
    expect_code(page, "def shared(a):")
    expect(page.get_by_label("number input for Temperature")).to_have_value("0.8")


def test_a_share_sets_the_page_and_the_address_after_it(blank_page: Page, server: Server, shares: ShareStore) -> None:
    page = blank_page
    shared = of_server(server, generation("a = ", "\nb = 2", texts=("1",), n=2), "other")
    first, second = shared.candidates
    shared = replace(shared, candidates=(replace(first, n_alike=3), second))
    page.goto(f"{server.url}/?share={shares.add(shared, 'A gap').slug}&__theme=light")
    expect_code(page, "a = 1\nb = 2", "infill")
    expect(page.locator("#pill")).to_contain_text("other")
    expect(page.get_by_label("number input for Candidates")).to_have_value("4")  # so many were written
    page.locator("#shared-dismiss").click()
    expect(page.locator("#shared")).to_be_hidden()
    query = rf"\?__theme=light&pane=infill&model=test%2Ftiny&branch=other&commit={shared.sha}$"
    expect(page).to_have_url(re.compile(query))

    page.goto(f"{server.url}/?share=absent99")
    expect(page.locator("#shared").get_by_role("alert")).to_contain_text("its author may have deleted it")
    expect(page.locator("#shared-dismiss")).to_be_visible()
    for action in ("rerun", "fork"):
        expect(page.locator(f"#shared-{action}")).to_be_hidden()
    page.locator("#shared-dismiss").click()
    expect(page).to_have_url(re.compile(r"/$"))
