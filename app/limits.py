"""Limits for one client: requests, streams and new tokens of the API and the page, and actions on shares."""

from __future__ import annotations

import hmac
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil
from time import time
from typing import Literal

from fastapi import Request
from limits import RateLimitItemPerMinute, parse_many
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from app.errors import ApiError, TooOften
from app.middleware.client_address import network
from santacoder.engine.request import CompletionRequest

_CLIENT = "santacoder.client"

Action = Literal["share", "like", "vote", "report", "open", "preview", "search", "moderate", "feedback"]

_RATES: dict[Action, str] = {
    "share": "10/minute; 200/day",
    "like": "30/minute",
    "vote": "30/minute",
    "report": "5/minute; 50/day",
    "open": "120/minute",
    "preview": "60/minute",
    "search": "240/minute",
    "feedback": "600/minute",
    "moderate": "60/minute",  # each may be a guess at the key
}
_PARSED = {action: parse_many(rates) for action, rates in _RATES.items()}


@dataclass
class Limits:
    """Limits of a server; 0 is no limit. Each process counts separately.

    A client is identified by the server's key that it sends, otherwise by its address. Behind a trusted proxy, that is
    the address that the proxy forwards.
    """

    keys: Sequence[str] = ()
    requests_per_minute: int = 0
    streams_per_client: int = 0
    texts_per_client: int = 0
    new_tokens: int = 0
    seconds: float = 0
    _rates: MovingWindowRateLimiter = field(default_factory=lambda: MovingWindowRateLimiter(MemoryStorage()))
    _streams: Counter[str] = field(default_factory=Counter)
    _texts: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def time_is_over(self) -> str:
        """The message for a request that exceeds the time limit."""
        return f"It was ended after {self.seconds:g} s, which is the limit."

    def check_rate(self, request: Request) -> None:
        """Count ``request``.

        Raises:
            ApiError: the client has sent too many requests within a minute.
        """
        if not self.requests_per_minute:
            return
        rate, client = RateLimitItemPerMinute(self.requests_per_minute), self.client(request)
        if not self._rates.hit(rate, client):
            wait = ceil(self._rates.get_window_stats(rate, client).reset_time - time())
            raise ApiError(
                429,
                f"You have sent {self.requests_per_minute} requests within a minute, which is the limit.",
                retry_after=max(1, wait),
            )

    def admit(self, request: Request) -> Callable[[], None]:
        """Count a request in progress, until the returned function is called.

        Raises:
            ApiError: the client has too many requests in progress.
        """
        sentence = f"You have {self.streams_per_client} requests in progress, which is the limit"
        return self._enter(self._streams, self.client(request), 1, self.streams_per_client, sentence)

    def admit_texts(self, request: Request, n_texts: int) -> Callable[[], None]:
        """Count the texts of a request in progress, until the returned function is called. Otherwise a few requests of
        many texts could fill the queue.

        Raises:
            ApiError: the client would have too many texts in progress.
        """
        sentence = f"You would have more than {self.texts_per_client} texts in progress, which is the limit"
        return self._enter(self._texts, self.client(request), n_texts, self.texts_per_client, sentence)

    def _enter(self, under_way: Counter[str], client: str, n_more: int, most: int, sentence: str) -> Callable[[], None]:
        with self._lock:  # the page's functions run in threads
            if most and under_way[client] + n_more > most:
                raise ApiError(429, f"{sentence}; wait until one has finished, or close its connection.", retry_after=1)
            under_way[client] += n_more

        def leave() -> None:
            with self._lock:
                under_way[client] -= n_more
                if not under_way[client]:
                    del under_way[client]

        return leave

    def check_new_tokens(self, requests: Sequence[CompletionRequest], n_positions: int) -> None:
        """
        Raises:
            ApiError: the texts of one request may become too long in total.
        """
        self._check(sum(min(request.sampling.max_new_tokens, n_positions) for request in requests), len(requests))

    def check_tokens(self, n_texts: int, n_tokens: int) -> None:
        """
        Raises:
            ApiError: ``n_texts`` with ``n_tokens`` new tokens each are too many.
        """
        self._check(n_texts * n_tokens, n_texts)

    def _check(self, wanted: int, n_texts: int) -> None:
        if self.new_tokens and wanted > self.new_tokens:
            raise ApiError(
                413,
                f"The request asks for up to {wanted:,} new tokens in {n_texts} text(s); "
                f"the limit is {self.new_tokens:,}. Ask for fewer or shorter texts.",
            )

    def client(self, request: Request) -> str:
        """The key by which ``request`` is counted. It is kept with the request, because each event of the page compares
        the clients of all events."""
        if _CLIENT not in request.scope:
            key = given_key(request)
            address = network(request.client.host) if request.client else ""
            request.scope[_CLIENT] = key if is_one_of(key, self.keys) else address
        client: str = request.scope[_CLIENT]
        return client


def is_one_of(key: str, keys: Sequence[str]) -> bool:
    """Every key is compared, in constant time, so that the duration reveals nothing about them."""
    return bool(sum(hmac.compare_digest(key.encode(), known.encode()) for known in keys))


def given_key(request: Request) -> str:
    """The bearer token or ``X-Api-Key`` of a request, valid or not."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")


class RateLimits:
    """Counts requests by address or API key, in this process: each of several servers counts separately."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, action: Action, client: str) -> None:
        """
        Raises:
            TooOften: the limit is exceeded.
        """
        for rate in _PARSED[action]:
            if not self._limiter.hit(rate, action, network(client)):
                raise TooOften(f"You have sent too many requests: {rate} are allowed. Try again later.")
