"""API keys, if the server has any."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastapi import Request

from app.errors import ApiError
from app.limits import given_key, is_one_of


def key_check(keys: Sequence[str]) -> Callable[[Request], None]:
    """Accepts a request with one of ``keys`` as its bearer token or ``X-Api-Key``; without keys, any."""

    def check(request: Request) -> None:
        if not keys:
            return
        if not is_one_of(given_key(request), keys):
            raise ApiError(401, "This server requires an API key: send one as Authorization: Bearer KEY.")

    return check
