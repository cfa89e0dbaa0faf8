"""Timeouts for request bodies that never arrive, or arrive so slowly that they only occupy a connection."""

from __future__ import annotations

import asyncio
import time

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS_FOR_BODY = 60.0
_LEAST_BYTES_A_SECOND = 8 * 1024


class BodyTimeout:
    """ASGI middleware: 408 if the body of a request has not arrived within ``seconds``, plus a second for every 8 KiB
    received. The application sees a disconnected client.
    """

    def __init__(self, app: ASGIApp, seconds: float = SECONDS_FOR_BODY) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, send, self._seconds)
        try:
            await self._app(scope, body.receive, body.send)
        except Exception:
            if not body.is_refused:
                raise
        if body.is_refused:
            sentence = f"The body of the request did not arrive within {self._seconds:g} s."
            error = {"message": sentence, "type": "invalid_request_error", "code": 408}
            await JSONResponse({"error": error}, 408, {"Connection": "close"})(scope, receive, send)


class _Body:
    """The incoming body of one request, and whether it has been answered."""

    def __init__(self, receive: Receive, send: Send, seconds: float) -> None:
        self._receive = receive
        self._send = send
        self._deadline = time.monotonic() + seconds
        self._is_late = self._is_answered = self._is_complete = False

    @property
    def is_refused(self) -> bool:
        return self._is_late and not self._is_answered

    async def receive(self) -> Message:
        if self._is_complete:  # only a disconnect can follow
            return await self._receive()
        if not self._is_late:
            try:
                message = await asyncio.wait_for(self._receive(), max(0.0, self._deadline - time.monotonic()))
            except asyncio.TimeoutError:
                self._is_late = True
        if self._is_late:
            return {"type": "http.disconnect"}
        self._deadline += len(message.get("body", b"")) / _LEAST_BYTES_A_SECOND
        self._is_complete = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if self.is_refused:
            return
        self._is_answered = True
        await self._send(message)
