"""A limit on how many requests of a client are processed at a time, so that other clients are served in between."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.middleware.mount import route_of

_AT_A_TIME = max(2, min(4, (os.cpu_count() or 2) // 2))
"""Requests of one client that are processed at a time. Each may use a thread, which competes with the event loop and
the engine for the interpreter lock. With 4 on two cores, others waited for 0.25 s."""
_WITHOUT_BODY = ("GET", "HEAD", "OPTIONS")
_TURN = "santacoder.turn"


@dataclass
class _Line:
    """The requests of one client."""

    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_A_TIME))
    n_bodies: int = 0
    """Requests that wait for their turn and whose bodies use memory."""


class Turn:
    """The turn of one request, which can be taken and left several times."""

    def __init__(self, line: _Line) -> None:
        self._line = line
        self._is_taken = False

    async def take(self) -> None:
        if not self._is_taken:
            await self._line.places.acquire()
            self._is_taken = True

    def leave(self) -> None:
        if self._is_taken:
            self._is_taken = False
            self._line.places.release()


class RequestTurns:
    """ASGI middleware. A request takes its turn when its body has arrived, and leaves it when its response begins, or
    earlier with :func:`turn_of` if only the model still has work to do.

    Args:
        client_of: returns the client of a request.
        most_waiting: the maximum number of requests with a body that a client has waiting; others get 429. 0 is no
            limit.
        at_once: paths that need no turn.
    """

    def __init__(
        self, app: ASGIApp, client_of: Callable[[Request], str], most_waiting: int, at_once: tuple[str, ...] = ()
    ) -> None:
        self._app = app
        self._client_of = client_of
        self._most_waiting = most_waiting
        self._at_once = at_once
        self._lines: WeakValueDictionary[str, _Line] = WeakValueDictionary()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or route_of(scope) in self._at_once:
            await self._app(scope, receive, send)
            return
        line = self._line_of(self._client_of(Request(scope)))
        turn = scope[_TURN] = Turn(line)
        try:
            if scope["method"] in _WITHOUT_BODY:
                await turn.take()
                await self._app(scope, receive, _leaving(turn, send))
            elif self._most_waiting and line.n_bodies >= self._most_waiting:
                await _refusal(self._most_waiting)(scope, receive, send)
            else:
                body = _Body(turn, line, receive)
                try:
                    await self._app(scope, body.receive, _leaving(turn, send))
                finally:
                    body.is_read()
        finally:
            turn.leave()

    def _line_of(self, client: str) -> _Line:
        line = self._lines.get(client)
        if line is None:
            line = self._lines[client] = _Line()
        return line


def turn_of(request: Request) -> Turn:
    """The turn of ``request``. Without the middleware, it is unlimited."""
    turn: Turn = request.scope.get(_TURN) or Turn(_Line())
    return turn


class _Body:
    """The incoming body of a request. Its end is passed on when the request has its turn."""

    def __init__(self, turn: Turn, line: _Line, receive: Receive) -> None:
        self._turn = turn
        self._line = line
        self._receive = receive
        self._is_coming = True
        line.n_bodies += 1

    async def receive(self) -> Message:
        message = await self._receive()
        if self._is_coming and not message.get("more_body", False):
            if message["type"] == "http.request":
                await self._turn.take()
            self.is_read()
        return message

    def is_read(self) -> None:
        if self._is_coming:
            self._is_coming = False
            self._line.n_bodies -= 1


def _leaving(turn: Turn, send: Send) -> Send:
    """``send``, after leaving the ``turn``."""

    async def leave_and_send(message: Message) -> None:
        turn.leave()
        await send(message)

    return leave_and_send


def _refusal(most: int) -> JSONResponse:
    sentence = f"You have {most} requests waiting to be processed, which is the limit; wait for one to end."
    error = {"message": sentence, "type": "rate_limit_error", "code": 429}
    return JSONResponse({"error": error}, 429, {"Retry-After": "1"})
