"""The API documentation, without access to other hosts."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import Server


def test_every_endpoint_is_described(blank_page: Page, server: Server) -> None:
    blank_page.goto(f"{server.url}/docs")
    for path in ("/v1/completions", "/infill", "/generate", "/api/generate", "/v1/attribution"):
        expect(blank_page.locator(f'[data-path="{path}"]').first).to_be_visible()
