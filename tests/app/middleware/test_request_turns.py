"""A client's many requests are computed a few at a time, and another client's in between."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from app.middleware.request_turns import _AT_A_TIME, RequestTurns, turn_of
from tests.app.api.conftest import run_apart

MOST_WAITING = 10
Work = Callable[[Request], Coroutine[Any, Any, None]]


class Harness:
    """The middleware before an application that does ``work`` with every request, and what comes of it."""

    def __init__(self, work: Work) -> None:
        self.inside: Counter[str] = Counter()
        self.most_inside: Counter[str] = Counter()
        self.statuses: Counter[tuple[str, int]] = Counter()
        self._work = work
        self._turns = RequestTurns(
            self._app, lambda request: request.headers["client"], MOST_WAITING, at_once=("/health",)
        )

    async def ask(self, client: str, method: str = "POST", path: str = "/", ends: bool = True) -> None:
        """One request of ``client``; a body that does not end leaves the server waiting."""

        async def receive() -> Message:
            if not ends:
                await asyncio.Event().wait()
            return {"type": "http.request", "body": b"{}", "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.statuses[client, message["status"]] += 1

        headers = [(b"client", client.encode())]
        scope = {"type": "http", "method": method, "path": path, "headers": headers}
        await self._turns(scope, receive, send)

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        client = request.headers["client"]
        await request.body()
        self.inside[client] += 1
        self.most_inside[client] = max(self.most_inside[client], self.inside[client])
        try:
            await self._work(request)
        finally:
            self.inside[client] -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def settled() -> None:
    """Whatever can go on has gone on."""
    for _ in range(100):
        await asyncio.sleep(0)


@pytest.mark.parametrize("method,count", [("POST", MOST_WAITING), ("GET", 3 * MOST_WAITING)])
def test_a_few_requests_of_a_client_are_computed_at_a_time(method: str, count: int) -> None:
    async def run() -> None:
        may_end = asyncio.Event()

        async def work(request: Request) -> None:
            if request.headers["client"] == "many":
                await may_end.wait()

        harness = Harness(work)
        asked = [asyncio.create_task(harness.ask("many", method)) for _ in range(count)]
        await settled()
        assert harness.inside["many"] == _AT_A_TIME
        await harness.ask("other", method)
        asked.append(asyncio.create_task(harness.ask("many", "GET", "/health")))
        await settled()
        assert harness.inside["many"] == _AT_A_TIME + 1
        may_end.set()
        await asyncio.gather(*asked)
        assert harness.statuses == {("many", 200): count + 1, ("other", 200): 1}
        assert harness.most_inside["many"] == _AT_A_TIME + 1

    run_apart(run())


def test_whoever_waits_for_the_model_has_no_turn() -> None:
    async def run() -> None:
        may_end = asyncio.Event()

        async def work(request: Request) -> None:
            turn = turn_of(request)
            turn.leave()
            await may_end.wait()
            await turn.take()
            await asyncio.sleep(0)
            turn.leave()

        harness = Harness(work)
        asked = [asyncio.create_task(harness.ask("many")) for _ in range(MOST_WAITING)]
        await settled()
        assert harness.inside["many"] == MOST_WAITING
        may_end.set()
        await asyncio.gather(*asked)
        assert harness.statuses == {("many", 200): MOST_WAITING}

    run_apart(run())


def test_a_client_that_goes_or_fails_leaves_its_turn() -> None:
    async def run() -> None:
        async def work(request: Request) -> None:
            if request.headers["client"] == "fails":
                raise ValueError
            await asyncio.Event().wait()

        harness = Harness(work)
        for client in ("fails", "goes"):
            for _ in range(3 * _AT_A_TIME):
                asked = asyncio.create_task(harness.ask(client))
                await settled()
                asked.cancel()
                await asyncio.gather(asked, return_exceptions=True)
        assert harness.most_inside == {"fails": 1, "goes": 1}
        del asked
        await settled()
        gc.collect()
        assert not harness._turns._lines

    run_apart(run())


def test_few_bodies_of_a_client_are_kept() -> None:
    async def run() -> None:
        async def work(request: Request) -> None: ...

        harness = Harness(work)
        slow = [asyncio.create_task(harness.ask("many", ends=False)) for _ in range(2 * MOST_WAITING)]
        await settled()
        assert harness.statuses == {("many", 429): MOST_WAITING}
        await harness.ask("other")
        await harness.ask("many", "GET")
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        await harness.ask("many")
        assert harness.statuses["other", 200] == 1 and harness.statuses["many", 200] == 2

    run_apart(run())
