"""A visitor of the site of static files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.static_site import Site, watched_site


@pytest.fixture(scope="module")
def visitor(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    yield context
    context.close()


@pytest.fixture(scope="module")
def page(visitor: BrowserContext, site: Site) -> Iterator[Page]:
    with watched_site(visitor, site) as page:
        yield page
