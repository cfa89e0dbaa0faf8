"""HTML pages are passed on whole, so that a middleware can change their text, or their headers by their text."""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import Message, Send


def whole_pages(send: Send, change: Callable[[Message, bytes], tuple[Message, bytes]]) -> Send:
    """``send``, except that a page (``text/html``) is buffered until complete. ``change`` is called with the start and
    the body of each response, and returns both; the body of other responses is empty for it, and streamed unchanged.
    """
    start: Message = {}
    page = bytearray()

    async def send_whole(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
            if not _is_page(message):
                await send(change(message, b"")[0])
        elif not _is_page(start):
            await send(message)
        else:
            page.extend(message.get("body", b""))
            if not message.get("more_body"):
                changed, body = change(start, bytes(page))
                await send(changed)
                await send({"type": "http.response.body", "body": body})

    return send_whole


def _is_page(start: Message) -> bool:
    return Headers(raw=start["headers"]).get("content-type", "").startswith("text/html")
