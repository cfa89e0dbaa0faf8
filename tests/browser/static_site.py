"""A site of static files on loopback, and what a visitor does with it."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from export.site import runtime_is_installed, write_site
from santacoder import checkpoints

needs_runtime = pytest.mark.skipif(
    not runtime_is_installed(), reason="ONNX Runtime for browsers is not installed; make test does so where it can"
)
CODE = "class Point:\n    def __init__(self, x, y):\n        self._x = x\n"


@dataclass
class Site:
    """A site and its server. The paths in ``damaged`` are served with other contents; ``headers`` are added to all."""

    url: str
    folder: Path
    damaged: set[str] = field(default_factory=set)
    headers: dict[str, str] = field(default_factory=dict)


@contextmanager
def served_site(folder: Path) -> Iterator[Site]:
    """Write a site with two revisions to ``folder``, and serve it two folders below the root of its host."""
    write_site(folder, ["santacoder/nano", "santacoder/nano@mha"], checkpoints.DEFAULT_STORE)
    damaged: set[str] = set()
    headers: dict[str, str] = {}

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if Path(self.path).name in damaged:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"<html>Please log in to this network.</html>")
            else:
                super().do_GET()

        def end_headers(self) -> None:
            for name, value in headers.items():
                self.send_header(name, value)
            super().end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    handler = functools.partial(Handler, directory=str(folder.parents[1]))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Site(f"http://127.0.0.1:{server.server_port}/deep/site/", folder, damaged, headers)
        server.shutdown()


@contextmanager
def watched_site(context: BrowserContext, site: Site) -> Iterator[Page]:
    """The site in a page, in which no script fails, and which asks no other host."""
    page = context.new_page()
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on("console", lambda message: message.type == "error" and failures.append(message.text))
    page.on("request", lambda request: request.url.startswith(site.url) or failures.append(request.url))
    open_site(page, site)
    yield page
    assert not failures


def open_site(page: Page, site: Site) -> None:
    page.goto(site.url)
    expect(page.locator("#status")).to_contain_text("is ready")


def set_parameters(page: Page, **values: str) -> None:
    page.locator("#parameters").evaluate("(details) => (details.open = true)")
    for name, value in values.items():
        if name == "stop_at":
            page.locator("#stop_at").select_option(value)
        else:
            page.locator(f"#{name}").fill(value)


def write(page: Page, pane: str, code: str) -> None:
    page.locator(f"#tab-{pane}").click()
    page.locator("#code").fill(code)


def run(page: Page) -> str:
    page.locator("#run").click()  # clears the status
    expect(page.locator("#status")).to_contain_text("seed")
    return page.locator("#code").input_value()
