"""API keys: who may use the endpoints, where the server has any."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence

from fastapi import Request

from app.api.errors import ApiError

_OPEN_TO_ALL = ("/health",)


def key_check(keys: Sequence[str]) -> Callable[[Request], None]:
    """Lets a request pass that has one of ``keys`` as its bearer token or ``X-Api-Key``; any, where there are none."""

    def check(request: Request) -> None:
        if not keys or request.url.path in _OPEN_TO_ALL:
            return
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        given = token if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
        # every key is compared, in constant time, so that the time taken tells nothing about them
        if not sum(hmac.compare_digest(given.encode(), key.encode()) for key in keys):
            raise ApiError(401, "This server wants an API key: send one as Authorization: Bearer KEY.")

    return check
