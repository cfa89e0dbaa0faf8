"""Graceful shutdown on SIGTERM: requests in progress may finish."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn

from app.connections import Places


class DrainingServer(uvicorn.Server):
    """After the first SIGTERM, ``drain`` is called and the server stops when it returns; any other signal stops it."""

    def __init__(self, config: uvicorn.Config, places: Places, drain: Callable[[], None]) -> None:
        super().__init__(config)
        self._places = places
        self._drain = drain
        self._is_draining = False

    async def on_tick(self, counter: int) -> bool:
        self._places.give_up_late()
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig != signal.SIGTERM or self._is_draining:
            super().handle_exit(sig, frame)
            return
        self._is_draining = True
        threading.Thread(target=self._drain_and_exit, args=(sig,), name="drain").start()

    def _drain_and_exit(self, sig: int) -> None:
        self._drain()
        super().handle_exit(sig, None)
