"""What another client experiences, measured in a separate process, because the one that sends the requests is busy."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from typing import NamedTuple
from urllib.parse import urlsplit

_HEALTH_EVERY = 0.05
# another loopback address, where 127.0.0.0/8 is this machine
_ADDRESS = ("127.0.0.2", 0) if sys.platform == "linux" else None
_LONGEST = 120  # seconds without an answer
_PROCESSES = multiprocessing.get_context("spawn")


class Waits(NamedTuple):
    """The longest answer of /health and the longest pause of a stream, in seconds."""

    health: float
    gap: float


class _Longest:
    """The longest of several times, and their number; shared between processes."""

    def __init__(self) -> None:
        self._seconds: Synchronized[float] = _PROCESSES.Value("d", 0.0)
        self._count: Synchronized[int] = _PROCESSES.Value("q", 0)

    def note(self, seconds: float) -> None:
        self._seconds.value = max(self._seconds.value, seconds)
        self._count.value += 1

    def reset(self) -> None:
        self._seconds.value = 0.0

    def complete(self) -> float:
        """The longest time, after what is in progress has been noted.

        Raises:
            TimeoutError: nothing more is noted, because the server does not answer.
        """
        count, last = self._count.value, time.monotonic() + _LONGEST
        while self._count.value < count + 2:
            if time.monotonic() > last:
                raise TimeoutError(f"The server has not answered for {_LONGEST} seconds.")
            time.sleep(0.01)
        return self._seconds.value


class Watch:
    """Requests /health and reads streams, repeatedly."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._health, self._gap = _Longest(), _Longest()
        self._is_over = _PROCESSES.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        arguments = (urlsplit(self._url).netloc, self._health, self._gap, self._is_over)
        process = _PROCESSES.Process(target=_watch, args=arguments, daemon=True)
        process.start()
        try:
            self.complete()
            yield
        finally:
            self._is_over.set()
            process.terminate()
            process.join()

    def reset(self) -> None:
        self._health.reset()
        self._gap.reset()

    def complete(self) -> Waits:
        """The longest times since the last reset, including what is in progress."""
        return Waits(self._health.complete(), self._gap.complete())


def _watch(netloc: str, health: _Longest, gap: _Longest, is_over: Event) -> None:
    threads = [
        threading.Thread(target=_ask_health, args=(netloc, health, is_over)),
        threading.Thread(target=_read_streams, args=(netloc, gap, is_over)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _ask_health(netloc: str, health: _Longest, is_over: Event) -> None:
    while not is_over.is_set():
        started = time.perf_counter()
        connection = http.client.HTTPConnection(netloc, timeout=120, source_address=_ADDRESS)
        connection.request("GET", "/health")
        connection.getresponse().read()
        connection.close()
        health.note(time.perf_counter() - started)
        time.sleep(_HEALTH_EVERY)


def _read_streams(netloc: str, gap: _Longest, is_over: Event) -> None:
    body = json.dumps({"prompt": "def add(a, b):\n", "max_tokens": 512, "stream": True, "logit_bias": {"0": -100}})
    while not is_over.is_set():
        connection = http.client.HTTPConnection(netloc, timeout=120, source_address=_ADDRESS)
        connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        latest = None
        while (line := answer.readline()) and not is_over.is_set():
            now = time.perf_counter()
            if latest is not None and line != b"\n":
                gap.note(now - latest)
            latest = now
        connection.close()
