"""HTML pages are compressed for clients that accept it: the home page has the description of all components."""

from __future__ import annotations

import gzip
from functools import lru_cache

from anyio import to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.middleware.whole_pages import whole_pages

_LEAST_BYTES = 1_400
"""About what fits a packet anyway."""


class CompressedPages:
    """ASGI middleware outside of those that read pages. Everything but pages is streamed unchanged."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_accepted = accepts_gzip(Headers(scope=scope).get("accept-encoding", ""))
        start: Message = {}

        async def send_compressed(message: Message) -> None:
            """``whole_pages`` sends a page as its start and one body."""
            nonlocal start
            if message["type"] == "http.response.start" and _may_be_compressed(message):
                start = message
                return
            if start:
                page = message.get("body", b"")
                headers = MutableHeaders(raw=list(start["headers"]))
                headers.add_vary_header("Accept-Encoding")
                if is_accepted and len(page) >= _LEAST_BYTES:
                    message = {**message, "body": await to_thread.run_sync(_compressed, page)}
                    headers["Content-Encoding"] = "gzip"
                    headers["Content-Length"] = str(len(message["body"]))
                await send({**start, "headers": headers.raw})
                start = {}
            await send(message)

        await self._app(scope, receive, whole_pages(send_compressed, lambda head, page: (head, page)))


def _may_be_compressed(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    is_page = headers.get("content-type", "").startswith("text/html")
    return is_page and "content-encoding" not in headers and "no-transform" not in headers.get("cache-control", "")


def accepts_gzip(accepted: str) -> bool:
    """Whether ``Accept-Encoding`` names gzip, or any encoding, without excluding it (RFC 9110, section 12.5.3)."""
    weights = {}
    for part in accepted.lower().split(","):
        name, _, parameters = part.partition(";")
        weights[name.strip()] = parameters.replace(" ", "").removeprefix("q=") or "1"
    weight = weights.get("gzip", weights.get("*", "0"))
    return weight.strip("0.") != ""


@lru_cache(maxsize=4)  # the home page is the same for all visitors
def _compressed(page: bytes) -> bytes:
    return gzip.compress(page, compresslevel=6, mtime=0)
