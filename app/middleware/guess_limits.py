"""Rate limits for password guesses: logins and the moderator's key."""

from __future__ import annotations

from collections import Counter
from math import ceil
from time import time

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.middleware.client_address import network
from app.middleware.mount import route_of

# a client can have many addresses, so there is also a limit for all clients together
_OF_A_CLIENT = parse("10/minute")
_OF_ALL = parse("100/minute")
_ALL = "all"


class GuessLimits:
    """ASGI middleware: 429 for a password sent after too many wrong ones within a minute.

    Correct passwords are not counted. While the limit is reached they are rejected too, because a different response
    would reveal them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._under_way: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        what = _guessed(scope) if scope["type"] == "http" else ""
        if not what:
            await self._app(scope, receive, send)
            return
        client = f"{what} {network(scope['client'][0] if scope.get('client') else '')}"
        everybody = f"{what} {_ALL}"
        wait = max(self._seconds_to_wait(_OF_A_CLIENT, client), self._seconds_to_wait(_OF_ALL, everybody))
        if wait:
            sentence = f"There were too many wrong passwords; try again in {wait} s."
            await JSONResponse({"detail": sentence, "error": sentence}, 429, {"Retry-After": str(wait)})(
                scope, receive, send
            )
            return

        async def send_and_count(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in (400, 401):
                self._limiter.hit(_OF_A_CLIENT, client)
                self._limiter.hit(_OF_ALL, everybody)
            await send(message)

        self._under_way.update((client, everybody))
        try:
            await self._app(scope, receive, send_and_count)
        finally:
            self._under_way.subtract((client, everybody))
            self._under_way += Counter()  # drops entries that have become 0

    def _seconds_to_wait(self, limit: RateLimitItem, key: str) -> int:
        """0 if another guess is allowed. Pending guesses count as wrong; otherwise many could be sent at once."""
        window = self._limiter.get_window_stats(limit, key)
        if window.remaining > self._under_way[key]:
            return 0
        return max(1, ceil(window.reset_time - time()))


def _guessed(scope: Scope) -> str:
    """Which password the request contains; empty if it contains none."""
    path = route_of(scope).rstrip("/")
    if path == "/login" and scope["method"] == "POST":
        return "login"
    if (path == "/moderation" or path.startswith("/moderation/")) and "authorization" in Headers(scope=scope):
        return "moderation"
    return ""
