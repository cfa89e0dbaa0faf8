"""Password guesses from one address and from many, real and forged."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from app.middleware.client_address import ClientAddress, is_local, network
from app.middleware.guess_limits import GuessLimits
from app.settings import Settings
from tests.app.api.conftest import Serving, run_apart, serve
from tests.app.raw import Answer, send

FORM = ("Content-Type", "application/x-www-form-urlencoded")


@pytest.fixture
def guarded(store: Path) -> Iterator[Serving]:
    settings = Settings(store=store, model="test/tiny", device="cpu", moderator_key="the key", logins="ada:lovelace")
    with serve(settings) as serving:
        yield serving


def log_in(url: str, password: str, *headers: tuple[str, str], path: str = "/login") -> Answer:
    return send(url, "POST", path, [FORM, *headers], f"username=ada&password={password}".encode())


def moderate(url: str, password: str, *headers: tuple[str, str]) -> Answer:
    basic = base64.b64encode(f"m:{password}".encode()).decode()
    return send(url, "GET", "/moderation", [("Authorization", f"Basic {basic}"), *headers])


def test_a_forged_address_gives_no_further_guesses(guarded: Serving) -> None:
    forged = [(name, f"192.0.2.{number}") for number in range(8) for name in ("X-Forwarded-For", "X-Real-IP")]
    assert log_in(guarded.url, "lovelace").status == 200
    answers = [
        log_in(guarded.url, "x", header, path="/login/" if number % 2 else "/login")
        for number, header in enumerate(forged)
    ]
    assert [answer.status for answer in answers] == [400] * 10 + [429] * 6
    late = log_in(guarded.url, "lovelace", ("X-Forwarded-For", "192.0.2.9"))
    assert late.status == 429 and 0 < int(late.header("Retry-After") or 0) <= 60 and b"wrong passwords" in late.body
    assert moderate(guarded.url, "the key").status == 200  # that is counted apart
    assert [moderate(guarded.url, "x", header).status for header in forged] == [401] * 10 + [429] * 6
    assert moderate(guarded.url, "the key").status == 429
    assert send(guarded.url, "GET", "/moderation").status == 401  # no guess


def test_guesses_sent_at_once_are_as_few(guarded: Serving) -> None:
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: log_in(guarded.url, "x").status, range(40)))
    assert answers.count(400) <= 10 and set(answers) == {400, 429}


async def _wrong(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 400, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def statuses(app: Any, clients: list[str], **headers: str) -> list[int]:
    """The status codes of a login attempt from each of ``clients``."""
    found: list[int] = []

    async def note(message: Any) -> None:
        if message["type"] == "http.response.start":
            found.append(message["status"])

    async def run() -> None:
        for client in clients:
            pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
            scope = {"type": "http", "method": "POST", "path": "/login", "headers": pairs, "client": (client, 1)}
            await app(scope, lambda: None, note)

    run_apart(run())
    return found


def test_many_addresses_have_a_limit_together() -> None:
    clients = [f"10.0.{number // 9}.1" for number in range(150)]
    assert statuses(GuessLimits(_wrong), clients) == [400] * 100 + [429] * 50


def test_the_addresses_of_one_network_are_one_client() -> None:
    clients = [f"2001:db8:1:2::{number:x}" for number in range(12)]
    assert statuses(GuessLimits(_wrong), clients) == [400] * 10 + [429] * 2
    assert network("2001:db8:1:2::5") == network("2001:db8:1:2:ffff::") != network("2001:db8:1:3::5")
    assert network("::ffff:192.0.2.1") == network("192.0.2.1") == "192.0.2.1" and network("unix") == "unix"


@pytest.mark.parametrize(
    "proxies,forwarded,client",
    [
        (0, "192.0.2.1", "127.0.0.1"),
        (1, "", "127.0.0.1"),
        (1, "192.0.2.1", "192.0.2.1"),
        (1, "forged, 192.0.2.1:443", "192.0.2.1"),
        (1, "192.0.2.1, forged", "127.0.0.1"),
        (1, "6.6.6.6, [2001:db8::1]:443", "2001:db8::1"),
        (2, "6.6.6.6, 192.0.2.1, 10.0.0.1", "192.0.2.1"),
        (2, "6.6.6.6", "127.0.0.1"),  # one proxy fewer than said
    ],
)
def test_as_many_proxies_are_believed_as_there_are(proxies: int, forwarded: str, client: str) -> None:
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope)

    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    scope = {"type": "http", "client": ("127.0.0.1", 1), "scheme": "http", "headers": headers}
    run_apart(ClientAddress(app, proxies)(scope, None, None))  # type: ignore[arg-type]
    assert seen["client"][0] == client
    assert is_local(seen) == (not forwarded)
