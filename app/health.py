"""Health checks: whether the server works, and what is wrong if it does not."""

from __future__ import annotations

import asyncio
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
        self._checks = checks
        self._mend = mend
        self._running: dict[str, Future[str | None]] = {}
        self._lock = threading.Lock()

    async def problems(self) -> dict[str, str]:
        """The problems by the name of their check, within two seconds."""
        asked = {name: asyncio.wrap_future(self._once(name, check)) for name, check in self._checks.items()}
        if asked:
            # a check that is still running is not cancelled: the next request waits for it
            await asyncio.wait(asked.values(), timeout=_SECONDS_TO_ANSWER)
        found = {name: answer.result() if answer.done() else _NO_ANSWER for name, answer in asked.items()}
        return {name: sentence for name, sentence in found.items() if sentence}

    def start_mending(self) -> None:
        """Start the recovery, unless it is running."""
        self._once("", self._mend)

    def _once(self, name: str, work: Check) -> Future[str | None]:
        with self._lock:
            running = self._running.get(name)
            if running is None or running.done():
                running = self._running[name] = Future()
                thread = threading.Thread(target=_settle, args=(running, work), name=f"health {name}", daemon=True)
                thread.start()
            return running


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
