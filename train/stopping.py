"""Being asked to stop: the step under way is finished and the state saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from train.distributed import World


@contextmanager
def stop_requests(world: World) -> Iterator[threading.Event]:
    """Is set by SIGINT and SIGTERM; a second SIGINT interrupts at once.

    Several processes would not hear it at the same step, so there a signal ends the process, and the last saved state
    is what remains.
    """
    asked = threading.Event()
    if world.size > 1 or threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(number: int, _: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
