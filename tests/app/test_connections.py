"""Connections that send nothing, or almost nothing."""

from __future__ import annotations

import asyncio
import re
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse

from app import connections
from app.connections import (
    ACCEPTED_AT_ONCE,
    MAX_HEADER_BYTES,
    BoundedConnection,
    Places,
    ReadingTurns,
    most_connections,
)
from app.middleware.body_timeout import BodyTimeout
from app.server import DrainingServer
from tests.app.api.conftest import run_apart
from tests.app.raw import send

MOST = 20
LAST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
ANSWERS: list[str] = []
CLIENTS: list[str] = []
RELEASED = threading.Event()


async def hello(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http" and scope["path"] == "/endless":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive())["type"] != "http.disconnect":
            pass
    elif scope["type"] == "http" and scope["path"] == "/early":
        await PlainTextResponse("early")(scope, receive, send)
    elif scope["type"] == "http":
        CLIENTS.append(scope["client"][0])
        if scope["path"] == "/block":
            RELEASED.wait(20)
        try:
            body = await Request(scope, receive).body()
        except ClientDisconnect:
            ANSWERS.append("gone")
            raise
        await PlainTextResponse(f"hello {len(body)}")(scope, receive, send)


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server with few connections and a timeout of a second."""
    monkeypatch.setattr(connections, "SECONDS_FOR_HEADERS", 1.0)
    with serving(MOST) as url:
        yield url


@contextmanager
def serving(most: int) -> Iterator[str]:
    places = Places(most)
    config = uvicorn.Config(
        BodyTimeout(hello, seconds=1.0),
        http=partial(BoundedConnection, places, ReadingTurns()),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        log_config=None,
        backlog=ACCEPTED_AT_ONCE,
    )
    server = DrainingServer(config, places, lambda: None)
    with socket.create_server(("127.0.0.1", 0), backlog=ACCEPTED_AT_ONCE) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def connected(url: str, sent: bytes = b"") -> Iterator[socket.socket]:
    with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=20) as connection:
        connection.sendall(sent)
        yield connection


def received(connection: socket.socket) -> bytes:
    """Everything received until the server closes the connection."""
    found = b""
    try:
        while chunk := connection.recv(65536):
            found += chunk
    except ConnectionResetError:
        pass
    return found


def test_many_idle_connections_leave_the_server_its_ears(url: str) -> None:
    for sent in (b"", b"GET / HTTP/1.1\r\nHost: x\r\n"):
        with ExitStack() as stack:
            idle = [stack.enter_context(connected(url, sent)) for _ in range(5 * MOST)]
            for _ in range(3):
                assert send(url, "GET", "/").body == b"hello 0"
            assert sum(received(each) == b"" for each in idle[: 3 * MOST]) == 3 * MOST


def test_answers_without_end_leave_the_server_its_ears(url: str) -> None:
    with ExitStack() as stack:
        endless = [
            stack.enter_context(connected(url, b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")) for _ in range(2 * MOST)
        ]
        for each in endless[MOST:]:
            assert each.recv(9) == b"HTTP/1.1 "
        assert send(url, "GET", "/").body == b"hello 0"
        assert b"hello" not in received(endless[0])


def test_headers_that_do_not_come_are_given_up(url: str) -> None:
    answered = b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost"
    for sent, answer in ((b"", b""), (b"GET / HT", b""), (answered, b"hello 0")):
        with connected(url, sent) as connection:
            assert received(connection).endswith(answer)


def test_headers_that_trickle_are_given_up(url: str) -> None:
    with connected(url, b"GET / HTTP/1.1\r\n") as connection:
        began = time.monotonic()
        with pytest.raises(OSError):
            while True:
                connection.sendall(b"X-A: b\r\n")
                time.sleep(0.05)
        assert time.monotonic() - began < 15


def test_headers_without_end_are_refused(url: str) -> None:
    with connected(url, b"GET / HTTP/1.1\r\nHost: x\r\n") as connection:
        with pytest.raises(OSError):
            for _ in range(1000):
                connection.sendall(b"X: " + b"y" * MAX_HEADER_BYTES + b"\r\n")
        assert send(url, "GET", "/").status == 200
    with connected(url, b"GET /" + b"a" * 2 * MAX_HEADER_BYTES) as connection:
        assert b"400 Bad Request" in received(connection)


def test_a_body_that_does_not_come_is_given_up(url: str) -> None:
    for head in (b"Content-Length: 1000", b"Transfer-Encoding: chunked"):
        ANSWERS.clear()
        with connected(url, b"POST / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n") as connection:
            answer = received(connection)
        assert b"408 Request Timeout" in answer and b"did not arrive within 1 s" in answer
        assert b"connection: close" in answer.lower() and ANSWERS == ["gone"]


def test_a_long_body_has_the_time_it_takes(url: str) -> None:
    with connected(url, b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n") as slow:
        for _ in range(4):
            slow.sendall(b"x" * 25_000)
            time.sleep(0.5)
        assert received(slow).endswith(b"hello 100000")


def test_clients_take_turns() -> None:
    request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with serving(1000) as url, ExitStack() as stack:
        CLIENTS.clear()
        RELEASED.clear()
        stack.enter_context(connected(url, request.replace(b"/", b"/block", 1)))  # until the others have sent theirs
        many = [stack.enter_context(connected(url, request)) for _ in range(300)]
        address = (urlsplit(url).hostname, urlsplit(url).port)
        with socket.create_connection(address, 20, source_address=("127.0.0.2", 0)) as other:
            other.sendall(request)
            RELEASED.set()
            assert received(other).endswith(b"hello 0")
        assert all(received(each).endswith(b"hello 0") for each in many)
    assert len(CLIENTS) == 302 and CLIENTS.index("127.0.0.2") < 100


def test_an_ordinary_connection_is_kept(url: str) -> None:
    with connected(url) as connection:
        for number in range(3 * MOST):
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70_000)
            answer = b""
            while not answer.endswith(b"hello 70000"):
                answer += connection.recv(65536)
            assert answer.count(b"HTTP/1.1 200") == 1, number


def test_requests_sent_ahead_wait_until_they_are_processed() -> None:
    request, most = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", []
    with serving(1000) as url, pytest.MonkeyPatch.context() as patch:
        on_response_complete = BoundedConnection.on_response_complete

        def count(self: BoundedConnection) -> None:
            most.append(len(self.pipeline))
            on_response_complete(self)

        patch.setattr(BoundedConnection, "on_response_complete", count)
        with connected(url) as connection:
            n = 5_000
            sender = threading.Thread(target=connection.sendall, args=(n * request + LAST,))
            sender.start()
            assert received(connection).count(b"hello 0") == n + 1
            sender.join()
    assert max(most) <= 1 + connections._REQUESTS_AT_ONCE // len(request)


def test_requests_sent_ahead_have_their_bodies(url: str) -> None:
    post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    sizes = [0, 1, 20_000, 300_000, 70_000, 5, 1_000_000, 16_384, 65_536, 0]
    with connected(url) as connection:
        sent = b"".join(post % size + size * b"x" for size in sizes) + LAST
        sender = threading.Thread(target=connection.sendall, args=(sent,))
        sender.start()
        assert re.findall(rb"hello (\d+)", received(connection)) == [b"%d" % size for size in [*sizes, 0]]
        sender.join()


@pytest.mark.parametrize("size", [3, 100_000])
def test_a_request_for_another_protocol_keeps_its_body(url: str, size: int) -> None:
    """Java's HttpClient sends these headers."""
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nHost: x\r\nHTTP2-Settings: AAEAAEAA\r\nUpgrade: h2c\r\n"
    head = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n%s\r\n" % (size, upgrade)
    with connected(url) as connection:
        for _ in range(2):  # on one connection
            connection.sendall(head + size * b"x")
            answer = b""
            while not answer.endswith(b"hello %d" % size) and (chunk := connection.recv(65536)):
                answer += chunk
            assert answer.endswith(b"hello %d" % size)


def test_headers_without_end_are_refused_after_a_body_that_nobody_read(url: str) -> None:
    with connected(url, b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n") as connection:
        assert b"early" in connection.recv(65536)
        connection.sendall(b"x" * 9 + b"GET / HTTP/1.1\r\n")
        with pytest.raises(OSError):
            for _ in range(1000):
                connection.sendall(b"X: " + b"y" * MAX_HEADER_BYTES + b"\r\n")


def test_there_are_descriptors_for_all_places() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 1024), hard))
        most = most_connections()
        now = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert 16 <= most <= 8192 and (now == resource.RLIM_INFINITY or most + ACCEPTED_AT_ONCE < now)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_has_been_answered_is_not_answered_again() -> None:
    sent: list[Any] = []

    async def early(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("early")(scope, receive, send)
        await receive()

    async def never() -> Any:
        await asyncio.sleep(60)

    async def note(message: Any) -> None:
        sent.append(message)

    run_apart(BodyTimeout(early, seconds=0.05)({"type": "http", "method": "POST", "headers": []}, never, note))
    assert [message.get("status") for message in sent] == [200, None]
