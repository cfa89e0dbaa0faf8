"""Wakes the event loop for the events of the engines' threads, once for many."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol
from weakref import WeakKeyDictionary, ref

# A display shows 60 frames a second. Sending what has arrived for one run takes some 0.06 ms of one processor, so with
# many clients the loop is busy an eighth of the time.
_LEAST_SECONDS = 0.008
_SECONDS_EACH = 0.0005


class Receiver(Protocol):
    """Takes events on the event loop that were sent to it by another thread."""

    def receive(self) -> None: ...


class Mailbox:
    """Wakes an event loop when the engines' threads have sent events to runs. A text's first token and its end arrive
    at once. Other tokens wait for those that follow within some milliseconds, and are then sent to the client together:
    waking the loop and writing to a socket for each token would take longer than computing it with a small model."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = ref(loop)
        self._now: deque[Receiver] = deque()
        self._soon: deque[Receiver] = deque()
        self._is_woken = self._is_planned = False
        self._next_at = 0.0

    def wake(self, run: Receiver) -> None:
        """Let ``run`` receive its events now. For any thread."""
        self._now.append(run)
        if not self._is_woken:
            self._is_woken = True  # first, because the loop may answer before this thread goes on
            self._call(self._hand_over_now)

    def wake_soon(self, run: Receiver) -> None:
        """Let ``run`` receive its events with those of other runs. For any thread."""
        self._soon.append(run)
        if not self._is_planned:
            self._is_planned = True
            self._call(self._plan)

    def _call(self, function: Callable[[], None]) -> None:
        if (loop := self._loop()) is not None:
            with suppress(RuntimeError):  # the loop has been closed, so nobody is waiting
                loop.call_soon_threadsafe(function)

    def _plan(self) -> None:
        loop = asyncio.get_running_loop()
        loop.call_at(max(self._next_at, loop.time()), self._hand_over_soon)

    def _hand_over_now(self) -> None:
        self._is_woken = False  # first, so that what is sent from now on wakes the loop again
        _receive(self._now)

    def _hand_over_soon(self) -> None:
        self._is_planned = False
        n_runs = _receive(self._soon)
        self._next_at = asyncio.get_running_loop().time() + max(_LEAST_SECONDS, n_runs * _SECONDS_EACH)


def _receive(runs: deque[Receiver]) -> int:
    """Let ``runs`` receive their events. Returns how many runs they are."""
    received = dict.fromkeys(runs.popleft() for _ in range(len(runs)))
    for run in received:
        run.receive()
    return len(received)


_MAILBOXES: WeakKeyDictionary[asyncio.AbstractEventLoop, Mailbox] = WeakKeyDictionary()


def mailbox_of(loop: asyncio.AbstractEventLoop) -> Mailbox:
    if loop not in _MAILBOXES:
        _MAILBOXES[loop] = Mailbox(loop)
    return _MAILBOXES[loop]
