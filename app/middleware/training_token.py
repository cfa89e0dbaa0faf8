"""The token in the address that the server prints: whoever opens that address is at the machine, as with Jupyter.

The address of the client is not sufficient, because a reverse proxy on the same machine need not add a header.
"""

from __future__ import annotations

import hmac
from urllib.parse import parse_qsl, quote, unquote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.middleware.mount import route_of

_PARAMETER = "token"


class TrainingToken:
    """ASGI middleware that turns ``/?token=…`` into a cookie and redirects to the address without the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not _is_front_page(scope):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = [value for name, value in query if name == _PARAMETER]
        if not given:
            await self._app(scope, receive, send)
            return
        rest = urlencode([(name, value) for name, value in query if name != _PARAMETER])
        response = RedirectResponse(f"{scope['path']}?{rest}" if rest else scope["path"], 303)
        if _is_right(given[0], self._token):
            response.set_cookie(_cookie_name(request), quote(self._token), httponly=True, samesite="strict")
        await response(scope, receive, send)


def has_token(request: Request, token: str) -> bool:
    """Whether the client has opened the address with ``token``."""
    return _is_right(unquote(request.cookies.get(_cookie_name(request), "")), token)


def address_with_token(address: str, token: str) -> str:
    return f"{address}/?{urlencode({_PARAMETER: token})}"


def _is_right(given: str, token: str) -> bool:
    return bool(token) and hmac.compare_digest(given.encode(), token.encode())


def _cookie_name(request: Request) -> str:
    """The name has the port that the browser uses, because browsers send a cookie to all servers of a host. Behind a
    tunnel, it is not the server's own port."""
    return f"santacoder-training-{request.url.port or 0}"


def _is_front_page(scope: Scope) -> bool:
    return route_of(scope) in ("", "/")
