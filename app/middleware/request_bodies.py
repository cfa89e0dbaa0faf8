"""The size limit for request bodies, and what happens if a client disconnects while sending one."""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyTooLarge(Exception):
    """A request has more bytes than allowed; the message is for the client's user."""

    def __init__(self, most: int) -> None:
        super().__init__(f"The request is larger than {most:,} bytes; send less context.")


class RequestBodies:
    """ASGI middleware. A body beyond ``most_bytes`` of its scope is not read to its end: reading it raises
    :class:`BodyTooLarge`, and the application may answer with 413 in its own format. A client that disconnects before
    its body is complete gets no response.
    """

    def __init__(self, app: ASGIApp, most_bytes: Callable[[Scope], int]) -> None:
        self._app = app
        self._most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(self._most_bytes(scope), _declared(scope), receive)
        started = False

        async def send_unless_pointless(message: Message) -> None:
            nonlocal started
            if body.client_is_gone:
                return
            if body.is_too_large and not started and message.get("status") != 413:
                return  # the application's own response to the exception
            started = True
            await send(message)

        try:
            await self._app(scope, body.receive, send_unless_pointless)
        except Exception:
            if not (body.client_is_gone or body.is_too_large):
                raise
        if body.is_too_large and not started:
            await JSONResponse({"error": str(BodyTooLarge(body.most))}, 413)(scope, receive, send)


class _Body:
    """The incoming body of a request."""

    def __init__(self, most: int, declared: int, receive: Receive) -> None:
        self.most = most
        self.is_too_large = False
        self.client_is_gone = False
        self._declared = declared
        self._receive = receive
        self._n_bytes = 0
        self._is_complete = False

    async def receive(self) -> Message:
        """Receive a message of the body.

        Raises:
            BodyTooLarge: the body is too large, or is declared to be.
        """
        if self._is_complete:
            return await self._receive()
        self._check(self._declared)
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.client_is_gone = True
            return message
        self._n_bytes += len(message.get("body", b""))
        self._check(self._n_bytes)
        self._is_complete = not message.get("more_body", False)
        return message

    def _check(self, n_bytes: int) -> None:
        if n_bytes > self.most:
            self.is_too_large = True
            raise BodyTooLarge(self.most)


def _declared(scope: Scope) -> int:
    """The length that the client declares; 0 if it declares none."""
    value = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(value) if value.isdigit() else 0


def again(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that returns ``body`` again, for an application behind middleware that has read it."""
    is_given = False

    async def receive_again() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again
