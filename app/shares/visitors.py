"""Who likes and reports: a random number in a cookie, of which the store keeps a digest."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from fastapi import Request, Response

_COOKIE = "santacoder_visitor"
_SECONDS = 365 * 24 * 3600


def known_visitor(cookies: Mapping[str, str]) -> str:
    """The visitor, or an empty string where none is known yet."""
    return cookies.get(_COOKIE, "")


def visitor(request: Request, response: Response) -> str:
    """The visitor, who is given a cookie where there was none."""
    known = known_visitor(request.cookies)
    if known:
        return known
    new = secrets.token_urlsafe(18)
    secure = request.url.scheme == "https"
    response.set_cookie(_COOKIE, new, max_age=_SECONDS, httponly=True, samesite="lax", secure=secure)
    return new


def address(request: Request) -> str:
    """What rates are counted by. uvicorn takes it from a proxy's headers where that proxy is trusted."""
    return request.client.host if request.client else "unknown"
