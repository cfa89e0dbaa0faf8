"""Graceful stopping: the current step is finished and the state saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # whoever only waits for another process needs no PyTorch
    from train.core.distributed import World


@contextmanager
def stop_requests(world: World) -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; a second SIGINT interrupts immediately. A SIGTERM beside it does not: after
    Ctrl-C, the process that started this one may send it.

    Several processes would not see a signal at the same step, so with more than one process a signal ends it, and the
    last saved state remains.
    """
    asked = threading.Event()
    received: set[int] = set()
    if world.size > 1 or threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(number: int, _: object) -> None:
        if number == signal.SIGINT and number in received:
            raise KeyboardInterrupt
        received.add(number)
        asked.set()

    with handling_stops(ask):
        yield asked


@contextmanager
def handling_stops(handler: Callable[[int, object], None]) -> Iterator[None]:
    """Let SIGINT and SIGTERM call ``handler`` during the block. Only the main thread can."""
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
