"""Security headers, which tell browsers what the pages of this server may do."""

from __future__ import annotations

import base64
import hashlib
import os
import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.middleware.whole_pages import whole_pages

# the body of a script without src
_INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)
_ANY_SITE = re.compile(rb"SameSite=None\b", re.IGNORECASE)
# a Space is shown inside a page of the Hub
_FRAMED_BY = "'self' https://huggingface.co https://*.hf.space" if "SPACE_ID" in os.environ else "'self'"
_POLICY = {
    "default-src": "'self'",
    # Gradio builds event functions from text; scripts in the page run only by their digests, inline handlers never
    "script-src": "'self' 'unsafe-eval'",
    "style-src": "'self' 'unsafe-inline'",  # Gradio and CodeMirror use style attributes and insert style elements
    "img-src": "'self' data: blob:",
    "media-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "worker-src": "'self' blob:",
    "connect-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": _FRAMED_BY,
}
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # permalinks and deletion links stay here
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class SecurityHeaders:
    """ASGI middleware. Pages (``text/html``) are buffered until complete, because the header contains the digests of
    their scripts; everything else is streamed.

    Args:
        head: HTML whose scripts a page may insert into itself, as Gradio does with its ``head``.
    """

    def __init__(self, app: ASGIApp, head: str = "") -> None:
        self._app = app
        self._head = head.encode()
        self._policy_without_page = content_security_policy(self._head)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        def with_headers(start: Message, page: bytes) -> tuple[Message, bytes]:
            policy = content_security_policy(page + self._head) if page else self._policy_without_page
            return _with_headers(start, policy), page

        await self._app(scope, receive, whole_pages(send, with_headers))


def content_security_policy(page: bytes) -> str:
    """The policy that allows only the scripts in ``page``."""
    digests = [hashlib.sha256(body).digest() for body in _INLINE_SCRIPT.findall(page)]
    sources = [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in dict.fromkeys(digests)]
    policy = _POLICY | {"script-src": " ".join([_POLICY["script-src"], *sources])}
    return "; ".join(f"{name} {value}" for name, value in policy.items())


def _with_headers(start: Message, policy: str) -> Message:
    headers = MutableHeaders(raw=[(name, _same_site(name, value)) for name, value in start["headers"]])
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("Content-Security-Policy", policy)
    return {**start, "headers": headers.raw}


def _same_site(name: bytes, value: bytes) -> bytes:
    """A header; a cookie in it becomes ``SameSite=lax``, which Gradio's login does not set."""
    return _ANY_SITE.sub(b"SameSite=lax", value) if name.lower() == b"set-cookie" else value
