"""Size and rate limits of shares."""

from __future__ import annotations

from typing import Literal

from limits import parse_many
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from app.client_address import network
from app.generation import Generation
from app.shares.errors import ShareRefused, TooOften

MAX_TITLE = 120
MAX_REASON = 500
MAX_SEARCH = 200
MAX_CODE = 100_000
MAX_STORED = 4 * 1024 * 1024
"""Bytes of a share as JSON, before compression: 16 candidates of 512 tokens with five alternatives each fit."""

Action = Literal["share", "like", "report", "open", "preview", "search", "moderate"]

_RATES: dict[Action, str] = {
    "share": "10/minute; 200/day",
    "like": "30/minute",
    "report": "5/minute; 50/day",
    "open": "120/minute",
    "preview": "60/minute",
    "search": "240/minute",
    "moderate": "60/minute",  # each may be a guess at the key
}
_PARSED = {action: parse_many(rates) for action, rates in _RATES.items()}


class RateLimits:
    """Counts requests by address, in this process: each of several servers counts separately."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, action: Action, address: str) -> None:
        """
        Raises:
            TooOften: the limit is exceeded.
        """
        for rate in _PARSED[action]:
            if not self._limiter.hit(rate, action, network(address)):
                raise TooOften(f"Too many requests from your address: {rate} are allowed. Try again later.")


def check_size(title: str, generation: Generation, stored: bytes) -> None:
    """
    Raises:
        ShareRefused: the share is too large.
    """
    n_characters = max(len(generation.code(index)) for index in range(len(generation.candidates)))
    if len(title) > MAX_TITLE:
        raise ShareRefused(f"The title has {len(title):,} characters; {MAX_TITLE} are allowed.")
    if n_characters > MAX_CODE:
        raise ShareRefused(f"The code has {n_characters:,} characters; at most {MAX_CODE:,} can be shared.")
    if len(stored) > MAX_STORED:
        raise ShareRefused(
            f"With all probabilities this is {len(stored):,} bytes; at most {MAX_STORED:,} can be shared. "
            "Share fewer candidates."
        )
