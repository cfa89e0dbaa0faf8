"""The page's address opens a pane and a revision, and what was set is still there after a reload."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server, open_advanced, open_pane, pick
from tests.browser.test_playground import set_parameter


def shown_pane(page: Page, name: str) -> None:
    expect(page.locator("#panes > .tab-wrapper [role=tab][aria-selected=true]").first).to_have_text(name)


def until_filled(page: Page) -> None:
    expect(page.locator("#branch input")).to_have_value(re.compile(" — "))


@pytest.mark.slow
def test_back_and_a_reload_return_to_panes_and_parameters(page: Page, server: Server) -> None:
    set_parameter(page, "number input for Temperature", "0.7")
    set_parameter(page, "Seed", "5")
    open_pane(page, "Compare")
    page.wait_for_url(f"{server.url}/?pane=compare")
    open_pane(page, "Gallery")
    page.wait_for_url(f"{server.url}/?pane=gallery")
    page.go_back()
    shown_pane(page, "Compare")
    page.reload()
    until_filled(page)
    shown_pane(page, "Compare")
    page.go_back()
    shown_pane(page, "Complete")
    expect(page.get_by_label("number input for Temperature")).to_have_value("0.7")
    open_advanced(page)
    expect(page.locator("#advanced").get_by_label("Seed")).to_have_value("5")


@pytest.mark.slow
def test_a_link_opens_a_pane_with_a_revision(blank_page: Page, server: Server) -> None:
    page = blank_page
    page.goto(f"{server.url}/?pane=infill&model=test/tiny&branch=other")
    until_filled(page)
    shown_pane(page, "Fill in the middle")
    expect(page.locator("#branch input")).to_have_value(re.compile("^other"))
    pick(page, "branch", "main")
    page.wait_for_url(re.compile(r"\?pane=infill&model=test%2Ftiny&branch=main$"))
    page.go_back()  # to the choice before, not out of the page
    expect(page.locator("#branch input")).to_have_value(re.compile("^other"))
    shown_pane(page, "Fill in the middle")
    page.go_forward()
    expect(page.locator("#pill")).to_have_text(re.compile("tiny · main"))


def test_an_address_with_a_model_that_is_not_there_shows_the_servers_own(blank_page: Page, server: Server) -> None:
    page = blank_page
    page.goto(f"{server.url}/?pane=nowhere&model=no/such")
    expect(page.locator(".toast-body")).to_contain_text("There is no model 'no/such' here")
    until_filled(page)
    expect(page.locator("#model input")).to_have_value("test/tiny")
    shown_pane(page, "Complete")


@pytest.mark.slow
def test_the_train_pane_says_who_may_use_it_and_parameters_begin_collapsed_on_a_phone(
    blank_page: Page, server: Server
) -> None:
    page = blank_page
    page.goto(f"{server.url}/?pane=train")
    expect(page.locator("#train-refused")).to_contain_text("open the address, with its token")
    expect(page.locator("#train-start")).to_be_hidden()
    open_pane(page, "Complete")
    page.wait_for_url(re.compile("^[^?]*$"))
    expect(page.locator("#candidates")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    until_filled(page)
    expect(page.locator("#candidates")).to_be_hidden()
    page.get_by_role("button", name="Parameters").click()
    expect(page.locator("#candidates")).to_be_visible()
