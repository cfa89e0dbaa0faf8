"""Health checks: whether the server works, and what is wrong if it does not."""

from __future__ import annotations

import asyncio
import queue
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

Check = Callable[[], str | None]
"""A sentence that describes the problem, or None."""

_LEAST_FREE_BYTES = 64 * 1024 * 1024
_SECONDS_TO_ANSWER = 2.0
_NO_ANSWER = f"There is no answer after {_SECONDS_TO_ANSWER:.0f} s."


class Health:
    """Named checks, and recovery from what they find.

    Each check has its own thread and runs once at a time, however many clients ask. So a check that waits for a
    database does not block threads that others need.
    """

    def __init__(self, checks: dict[str, Check], mend: Check = lambda: None) -> None:
        self._checks = {name: _Worker(name, check) for name, check in checks.items()}
        self._mending = _Worker("mending", mend)

    async def problems(self) -> dict[str, str]:
        """The problems by the name of their check, within two seconds."""
        asked = {name: asyncio.wrap_future(worker.run()) for name, worker in self._checks.items()}
        if asked:
            # a check that is still running is not cancelled: the next request waits for it
            await asyncio.wait(asked.values(), timeout=_SECONDS_TO_ANSWER)
        found = {name: answer.result() if answer.done() else _NO_ANSWER for name, answer in asked.items()}
        return {name: sentence for name, sentence in found.items() if sentence}

    def start_mending(self) -> None:
        """Start the recovery, unless it is running."""
        self._mending.run()

    def close(self) -> None:
        """End the threads after their current checks."""
        for worker in (*self._checks.values(), self._mending):
            worker.close()


class _Worker:
    """A persistent thread for one check. Starting a thread blocks the event loop until it runs, which takes long on a
    busy server."""

    def __init__(self, name: str, check: Check) -> None:
        self._name = f"health {name}"
        self._check = check
        self._asked: queue.SimpleQueue[Future[str | None] | None] = queue.SimpleQueue()
        self._running: Future[str | None] | None = None
        self._lock = threading.Lock()

    def run(self) -> Future[str | None]:
        """The result of the check; it is started unless it is already running."""
        with self._lock:
            if self._running is None:
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
            if self._running is None or self._running.done():
                self._running = Future()
                self._asked.put(self._running)
            return self._running

    def close(self) -> None:
        self._asked.put(None)

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            if asked.set_running_or_notify_cancel():
                _settle(asked, self._check)


def disk_check(folder: Path) -> Check:
    """A check that the disk of ``folder`` has free space."""

    def check() -> str | None:
        existing = next(path for path in [folder.absolute(), *folder.absolute().parents] if path.exists())
        free = shutil.disk_usage(existing).free
        if free >= _LEAST_FREE_BYTES:
            return None
        return f"The disk with the models is full: {free / 1e6:.0f} MB are left. Make room on it."

    return check


def _settle(future: Future[str | None], check: Check) -> None:
    try:
        future.set_result(check())
    except Exception as error:  # a check that raises has found a problem, too
        future.set_result(f"{str(error).rstrip('.') or type(error).__name__}.")
