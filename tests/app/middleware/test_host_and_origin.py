"""Websites that use a visitor's browser to reach a server: with DNS rebinding, and with cross-site requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.middleware.host_and_origin import HostAndOrigin
from app.settings import Settings
from tests.app.api.conftest import Serving, run_apart, serve
from tests.app.raw import send

JSON = ("Content-Type", "application/json")
TEXT = ("Content-Type", "text/plain")
BODY = {"prompt": "def a():", "max_tokens": 2}
JOIN = {"data": [], "fn_index": 0, "session_hash": "abc"}
FORM = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\nhi\r\n--x--\r\n'
ALLOWED = "https://a.example"
CHANGES = [
    ("POST", "/v1/completions", BODY),
    ("POST", "/infill", BODY),
    ("POST", "/generate", BODY),
    ("POST", "/api/generate", BODY),
    ("POST", "/mcp", {}),
    ("POST", "/nowhere", {}),
    ("PUT", "/s/absent/like", b""),
    ("DELETE", "/s/absent/like", b""),
    ("POST", "/s/absent/report", {"reason": "x"}),
    ("POST", "/login", b"username=a&password=b"),
    ("POST", "/moderation/absent/hide", b""),
    ("POST", "/gradio_api/queue/join", JOIN),
    ("POST", "/gradio_api/queue/join?", JOIN),
    ("POST", "/gradio_api/run/predict", JOIN),
    ("POST", "/gradio_api/call/complete", JOIN),
    ("POST", "/gradio_api/upload", FORM),
    ("POST", "/gradio_api/reset", JOIN),
    ("POST", "/gradio_api/cancel", JOIN),
    ("GET", "/gradio_api/queue/data?session_hash=abc", None),
    ("GET", "/gradio_api/heartbeat/abc", None),
    ("GET", "/logout", None),
    ("GET", "/props?model=bigcode/santacoder", None),
]


@pytest.fixture(scope="module")
def guarded(store: Path) -> Iterator[Serving]:
    settings = Settings(
        store=store,
        model="test/tiny",
        device="cpu",
        allowed_hosts="coder.example, 192.0.2.7",
        cors_origins=ALLOWED,
        moderator_key="the key",
        logins="ada:lovelace",
    )
    with serve(settings) as serving:
        yield serving


@pytest.mark.parametrize("host", ["{own}", "localhost", "LOCALHOST.:1", "127.3.2.1", "[::1]:80", "coder.example:9"])
def test_the_names_of_the_server_are_answered(host: str, guarded: Serving) -> None:
    own = urlsplit(guarded.url).netloc
    assert send(guarded.url, "GET", "/health", {"Host": host.format(own=own)}).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:7860", "localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.8", "0.0.0.0"]
    + [
        "",
        " ",
        "localhost, evil.example",
        "a@localhost",
        "localhost/",
        "[::1",
        "coder.example.evil.example",
        "x" * 3000,
    ],
)
def test_a_name_that_was_rebound_is_refused_everywhere(host: str, guarded: Serving) -> None:
    for method, path in (("GET", "/health"), ("GET", "/"), ("GET", "/config"), ("POST", "/v1/completions")):
        answer = send(guarded.url, method, path, {"Host": host}, BODY if method == "POST" else None)
        assert answer.status == 421, (host, path)
        assert b"--allowed-hosts" in answer.body and len(answer.body) < 400


@pytest.mark.parametrize("forwarded", ["evil.example", "coder.example, evil.example", "evil.example, localhost", ""])
def test_a_forwarded_host_is_a_name_of_the_server(forwarded: str, guarded: Serving) -> None:
    answer = send(guarded.url, "GET", "/", {"X-Forwarded-Host": forwarded})
    assert answer.status == (421 if forwarded else 200) and b"evil.example/" not in answer.body
    named = send(
        guarded.url, "GET", "/", {"X-Forwarded-Host": "coder.example", "X-Gradio-Server": "http://evil.example"}
    )
    assert named.status == 200 and b"evil.example" not in named.body and b"//coder.example" in named.body


def test_one_host_is_named(guarded: Serving) -> None:
    assert send(guarded.url, "GET", "/health", [("Host", "localhost"), ("Host", "evil.example")]).status in (400, 421)


@pytest.mark.parametrize("method,path,body", CHANGES)
def test_requests_of_other_websites_are_refused(method: str, path: str, body: object, guarded: Serving) -> None:
    port = urlsplit(guarded.url).port
    foreign: list[list[tuple[str, str]]] = [
        [("Origin", "https://evil.example")],
        [("Origin", "null")],
        [("Origin", f"http://127.0.0.1:{port + 1 if port else 1}")],  # another server on this machine
        [("Origin", f"http://127.0.0.1:{port}.evil.example")],
        [("Origin", "http://coder.example:81")],
        [("Origin", f"{guarded.url}"), ("Origin", "https://evil.example")],
        [("Sec-Fetch-Site", "cross-site")],
        [("Sec-Fetch-Site", "same-site")],
        [("Origin", guarded.url), ("Sec-Fetch-Site", "cross-site")],
    ]
    for headers in foreign:
        for kind in (JSON, TEXT):
            answer = send(guarded.url, method, path, [*headers, kind], body)
            assert answer.status == 403 and b"another website" in answer.body, headers
            assert answer.header("Access-Control-Allow-Origin") is None


def test_pages_of_the_server_and_programs_may_change_things(guarded: Serving) -> None:
    own: list[list[tuple[str, str]]] = [
        [],
        [("Origin", guarded.url)],
        [("Origin", guarded.url.upper()), ("Sec-Fetch-Site", "same-origin")],
        [("Sec-Fetch-Site", "none")],
        [("Origin", "null"), ("Sec-Fetch-Site", "same-origin")],
        [("Origin", "https://coder.example")],  # a proxy that says 127.0.0.1 in Host
        [("Origin", "http://coder.example:81"), ("Host", "coder.example:81")],
        [("Origin", "https://coder.example"), ("Host", "coder.example")],
        [("Origin", ALLOWED), ("Sec-Fetch-Site", "cross-site")],
    ]
    for headers in own:
        answer = send(guarded.url, "POST", "/v1/completions", [*headers, JSON], BODY)
        assert answer.status == 200, headers


def test_links_of_other_websites_are_followed(guarded: Serving) -> None:
    visit = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert send(guarded.url, "GET", "/", visit).status == 200
    assert send(guarded.url, "GET", "/health", visit).status == 200


def test_the_moderator_is_asked_by_no_other_website(guarded: Serving) -> None:
    password = ("Authorization", "Basic bTp0aGUga2V5")
    for headers in ([("Origin", ALLOWED)], [("Origin", "https://evil.example")], [("Origin", "null")]):
        answer = send(guarded.url, "POST", "/moderation/absent/hide", [*headers, password], b"")
        assert answer.status == 403 and b"another website" in answer.body
    assert send(guarded.url, "POST", "/moderation/absent/hide", [("Origin", guarded.url), password], b"").status == 404


@pytest.mark.parametrize("host", ["", "coder.example", "192.0.2.7"])
@pytest.mark.parametrize(
    "path", ["/v1/completions", "/gradio_api/queue/join", "/config", "/mcp", "/health", "/nowhere"]
)
def test_only_named_origins_are_answered_to(host: str, path: str, guarded: Serving) -> None:
    named = [("Host", host)] if host else []
    for origin in (ALLOWED, "https://evil.example", "null"):
        asked = [("Origin", origin), ("Access-Control-Request-Method", "POST")]
        for method, headers in (("OPTIONS", asked), ("GET", asked[:1])):
            answer = send(guarded.url, method, path, [*named, *headers])
            assert answer.header("Access-Control-Allow-Origin") == (ALLOWED if origin == ALLOWED else None)
            assert answer.header("Access-Control-Allow-Credentials") is None


def test_no_origin_is_answered_to_where_none_is_named(store: Path) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST", "Host": "coder.example"}
    settings = Settings(store=store, model="test/tiny", device="cpu", allowed_hosts="*")
    with serve(settings) as serving:
        for path in ("/v1/completions", "/gradio_api/queue/join", "/config", "/nowhere"):
            for method in ("OPTIONS", "GET"):
                answer = send(serving.url, method, path, asked)
                assert answer.header("Access-Control-Allow-Origin") is None
                assert answer.header("Access-Control-Allow-Credentials") is None


def test_no_cookie_goes_with_the_requests_of_other_websites(guarded: Serving) -> None:
    form = ("Content-Type", "application/x-www-form-urlencoded")
    answer = send(guarded.url, "POST", "/login", [form], b"username=ada&password=lovelace")
    cookies = [value.lower() for name, value in answer.headers if name.lower() == "set-cookie"]
    assert answer.status == 200 and len(cookies) == 2
    assert all("samesite=lax" in cookie and "httponly" in cookie for cookie in cookies)


def passes(method: str, headers: list[tuple[str, str]], scheme: str = "http", **settings: Any) -> bool:
    """Whether the middleware accepts a request."""
    reached: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append(True)

    async def nothing(*_: Any) -> Any:
        return None

    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": "http", "method": method, "path": "/x", "scheme": scheme, "headers": pairs}
    run_apart(HostAndOrigin(app, **settings)(scope, nothing, nothing))
    return bool(reached)


@pytest.mark.parametrize(
    "host,given,passed",
    [
        ("127.0.0.1", "192.0.2.1", False),
        ("0.0.0.0", "192.0.2.1:7860", True),  # an address is nobody's name
        ("0.0.0.0", "evil.example", False),
        ("::", "[2001:db8::1]", True),
        ("2001:db8::1", "[2001:DB8:0::1]:7860", True),
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("coder.lan", "coder.lan:7860", True),
    ],
)
def test_the_address_listened_on_is_a_name(host: str, given: str, passed: bool) -> None:
    assert passes("GET", [("host", given)], host=host) == passed


def test_what_was_sent_by_https_comes_from_no_page_of_http() -> None:
    headers = [("host", "coder.example"), ("origin", "http://coder.example")]
    assert passes("POST", headers, host="coder.example")
    assert not passes("POST", headers, scheme="https", host="coder.example")


@given(st.text(alphabet=st.characters(max_codepoint=255)), st.text(alphabet=st.characters(max_codepoint=255)))
def test_no_text_gets_through(host: str, origin: str) -> None:
    assert not passes("GET", [("host", f"{host}evil.example")], host="127.0.0.1")
    assert not passes("POST", [("host", "localhost"), ("origin", f"{origin}evil.example")], host="127.0.0.1")
