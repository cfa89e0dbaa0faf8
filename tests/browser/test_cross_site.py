"""A real browser with another website open: the requests that the website can send to the server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Response

from tests.browser.conftest import CHROMIUM, FLAGS, MODERATOR_KEY, Server

_SENDS = """
async ([url, kind]) => {
  const body = JSON.stringify({ prompt: "x", max_tokens: 1 });
  const headers = { "Content-Type": kind };
  const mode = kind === "text/plain" ? "no-cors" : "cors";
  const asked = { method: "POST", body, headers, credentials: "include", mode };
  try { return (await fetch(url, asked)).type; } catch (error) { return "kept from it"; }
}
"""

_SUBMITS = """
(url) => {
  document.body.innerHTML = `<form method="post" action="${url}"></form>`;
  document.forms[0].submit();
}
"""


class _Website(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>another website</title>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def website() -> Iterator[str]:
    """Another site than the server: ``localhost`` is not ``127.0.0.1``."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Website) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        yield f"http://localhost:{other.server_address[1]}/"
        other.shutdown()


def test_another_website_changes_and_reads_nothing(chromium: Browser, server: Server, website: str) -> None:
    password = {"username": "m", "password": MODERATOR_KEY}
    context = chromium.new_context(http_credentials=password)
    page = context.new_page()
    assert page.goto(f"{server.url}/moderation").status == 200  # type: ignore[union-attr]
    page.goto(website)
    statuses: dict[str, int] = {}

    def note(response: Response) -> None:
        if response.request.method == "POST":
            statuses[urlsplit(response.url).path] = response.status

    page.on("response", note)
    paths = ["/v1/completions", "/gradio_api/queue/join", "/gradio_api/upload", "/moderation/absent/hide"]
    for path in paths:
        assert page.evaluate(_SENDS, [f"{server.url}{path}", "text/plain"]) == "opaque"
        assert page.evaluate(_SENDS, [f"{server.url}{path}", "application/json"]) == "kept from it"
    assert page.evaluate(_SENDS, [f"{server.url}/nowhere", "text/plain"]) == "opaque"
    assert {path: statuses[path] for path in [*paths, "/nowhere"]} == dict.fromkeys([*paths, "/nowhere"], 403)
    with page.expect_navigation() as navigation:
        page.evaluate(_SUBMITS, f"{server.url}/moderation/absent/hide")
    assert navigation.value.status == 403  # type: ignore[union-attr]
    assert page.goto(server.url).status == 200  # type: ignore[union-attr]
    context.close()


def test_a_name_that_was_rebound_shows_nothing(chromium: Browser, server: Server) -> None:
    rules = [*FLAGS, "--host-resolver-rules=MAP evil.example 127.0.0.1", "--no-proxy-server"]
    browser = chromium.browser_type.launch(executable_path=CHROMIUM, args=rules)
    page = browser.new_page()
    answer = page.goto(f"http://evil.example:{urlsplit(server.url).port}/")
    assert answer is not None and answer.status == 421 and "--allowed-hosts" in page.content()
    assert page.evaluate("async () => (await fetch('/v1/models')).status") == 421
    browser.close()
