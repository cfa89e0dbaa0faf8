"""A limit on the number of JSON values, for routes without their own check: shares, moderation and tools."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.json_values import MOST_VALUES, has_more_values
from app.middleware.mount import route_of
from app.middleware.request_bodies import again

_ROUTES = ("/s/", "/moderation", "/mcp")


class ValueLimits:
    """ASGI middleware: 413 for JSON with many values, which would be turned into objects on the event loop."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD") or not route_of(scope).startswith(_ROUTES):
            await self._app(scope, receive, send)
            return
        body = await Request(scope, receive).body()
        if await run_in_threadpool(has_more_values, body, MOST_VALUES):
            sentence = f"The request has more than {MOST_VALUES:,} values, or is nested too deeply."
            await JSONResponse({"error": sentence}, 413)(scope, receive, send)
            return
        await self._app(scope, again(body, receive), send)
