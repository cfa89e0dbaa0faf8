"""Visitors, who like and report shares: a random number in a cookie, of which the store keeps a digest."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from fastapi import Request, Response

_COOKIE = "santacoder_visitor"
_SECONDS = 365 * 24 * 3600


def known_visitor(cookies: Mapping[str, str]) -> str:
    """The visitor, or an empty string if there is no cookie yet."""
    return cookies.get(_COOKIE, "")


def visitor(request: Request, response: Response) -> str:
    """The visitor; sets a cookie if there is none."""
    known = known_visitor(request.cookies)
    if known:
        return known
    new = secrets.token_urlsafe(18)
    secure = request.url.scheme == "https"
    response.set_cookie(_COOKIE, new, max_age=_SECONDS, httponly=True, samesite="lax", secure=secure)
    return new


def address(request: Request) -> str:
    """The address for rate limits, taken from a trusted proxy's headers if there is one."""
    return request.client.host if request.client else "unknown"
