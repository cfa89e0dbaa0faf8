"""Unexpected errors on the page: they are reported, and the pane stays usable."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import BrowserContext, expect

import app.ui.branches.pane
import app.ui.code_pane.run_buttons
import app.ui.compare.pane
from app.settings import Settings
from santacoder.errors import CheckpointError
from tests.app.api.conftest import serve
from tests.app.page_events import fire
from tests.browser.conftest import open_pane
from tests.browser.test_page_api import PARAMETERS


@pytest.mark.slow
def test_a_pane_that_fails_can_be_used_again(
    desk: BrowserContext, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any, **options: Any) -> Any:
        raise RuntimeError("/srv/secret/place is broken")

    monkeypatch.setattr(app.ui.compare.pane, "side_by_side", broken)
    monkeypatch.setattr(app.ui.branches.pane.Replays, "replay", broken)
    monkeypatch.setattr(app.ui.code_pane.run_buttons, "generate", broken)
    with serve(Settings(store=store, model="test/tiny", device="cpu")) as serving:
        page = desk.new_page()
        page.goto(serving.url)
        page.wait_for_selector("#complete-run")
        expect(page.locator("#branch input")).to_have_value(re.compile(" — "))
        for pane, button in [
            ("Complete", "complete-run"),
            ("Compare", "compare-run"),
            ("Branches", "branches-run"),
        ]:
            open_pane(page, pane)
            if pane == "Compare":
                expect(page.locator("#compare-revisions")).to_contain_text("test/tiny@other")
            page.locator(f"#{button}").click()
            message = page.locator(".toast-body").last
            expect(message).to_contain_text("Something went wrong on the server; the details are in its log.")
            message.locator(".toast-close").click()
            expect(page.locator(".toast-body")).to_have_count(0)
            expect(page.locator(f"#{button}")).to_be_enabled()
            expect(page.locator(f"#{button.replace('run', 'stop')}")).to_be_disabled()
        assert "/srv/secret" not in page.content()
        page.close()


COMPLETE = ["x = 1", "python", 1, "auto", "test/tiny", "main", "", *PARAMETERS, None, 0]
AS_TYPED = 'There is no <b>model</b> &lt;x> <a href="https://evil.example/">Log in</a><img src=x>.'


def test_messages_are_text_for_the_page_and_for_other_clients(
    desk: BrowserContext, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: Any, **options: Any) -> Any:
        raise CheckpointError(AS_TYPED)

    monkeypatch.setattr(app.ui.code_pane.run_buttons, "generate", refused)
    with serve(Settings(store=store, model="test/tiny", device="cpu")) as serving:
        page = desk.new_page()
        page.goto(f"{serving.url}/?{urlencode({'model': AS_TYPED})}")
        warning = page.locator(".toast-body.warning")
        expect(warning).to_contain_text(f"There is no model {AS_TYPED[:100]!r} here.")
        page.locator("#complete-run").click()
        expect(page.locator(".toast-body.error")).to_contain_text(AS_TYPED)
        expect(page.locator(".toast-body :is(a, b, img)")).to_have_count(0)
        page.close()
        told = fire(serving.url, "complete-run", "click", COMPLETE)
    assert not told["success"] and told["output"]["error"] == AS_TYPED
