"""Sessions of open pages, and how long they are kept after a page was closed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from gradio.blocks import Blocks
from gradio.state_holder import SessionState, StateHolder

_SECONDS_KEPT = 300
"""Seconds after a page was closed or lost its connection, so that a browser that reconnects finds its session."""
_SECONDS_BETWEEN_ROUNDS = 30
_MOST_KEPT = 32
"""Maximum number of sessions without an open page; the least recently used one is deleted first."""


class Sessions(StateHolder):
    """Gradio's sessions with less overhead.

    Gradio creates a description of every component for each session (0.4 s on two busy cores, which blocks all
    requests), for deep links, which this page replaces with shares. It also keeps the last 10,000 sessions.
    """

    def __init__(self, blocks: Blocks) -> None:
        """``blocks`` is the page."""
        super().__init__()
        self._page = blocks
        self.set_blocks(blocks)
        self._connections: Counter[str] = Counter()
        self._last_used: dict[str, float] = {}
        self._making = threading.Lock()

    def __getitem__(self, session_id: str) -> SessionState:
        with self._making:
            if session_id not in self.session_data:
                self.session_data[session_id] = _Session(self.blocks)
            self._last_used[session_id] = time.monotonic()
        return super().__getitem__(session_id)

    @contextmanager
    def held(self, session_id: str) -> Iterator[None]:
        """Mark the session as used by an open page for the duration of the block. Must run on the event loop."""
        self._connections[session_id] += 1
        try:
            yield
        finally:
            self._connections[session_id] -= 1
            if not self._connections[session_id]:
                del self._connections[session_id]
                if session_id in self._last_used:
                    self._last_used[session_id] = time.monotonic()
            self.free()

    async def free_regularly(self) -> None:
        while True:
            self.free()
            await asyncio.sleep(_SECONDS_BETWEEN_ROUNDS)

    def free(self) -> None:
        """Delete sessions without an open page or running events, if they are old or too many. Must run on the event
        loop.
        """
        queue = self._page._queue
        busy = {event.session_hash for event in queue.event_ids_to_events.values()}
        left = [name for name in self.session_data if name not in self._connections and name not in busy]
        left.sort(key=lambda name: self._last_used.get(name, 0.0))
        now = time.monotonic()
        for number, name in enumerate(left):
            is_old = now - self._last_used.get(name, 0.0) > _SECONDS_KEPT
            if is_old or len(left) - number > _MOST_KEPT:
                self._forget(name)
        # results that were never fetched
        for name in [name for name in queue.pending_event_ids_session if name not in self.session_data]:
            if name not in self._connections and name not in busy:
                self._forget(name)

    def _forget(self, name: str) -> None:
        queue = self.blocks._queue
        with self._making, self.lock:
            self.session_data.pop(name, None)
            self.time_last_used.pop(name, None)
            self._last_used.pop(name, None)
        queue.pending_event_ids_session.pop(name, None)
        if name in queue.pending_messages_per_session:
            del queue.pending_messages_per_session[name]


class _Session(SessionState):
    """A session without descriptions of its components."""

    def __init__(self, blocks: Blocks) -> None:
        # Gradio describes the components in ``blocks``
        super().__init__(SimpleNamespace(default_config=blocks.default_config, blocks=()))

    def _update_config(self, key: int) -> None: ...

    def _update_value_in_config(self, key: int, value: Any) -> None: ...
