"""The visitor's own code: nothing of it is shared unseen."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.test_playground import run, set_parameter, write


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
