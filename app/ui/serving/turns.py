"""Fair scheduling of the page's events: clients take turns in Gradio's queue, which is otherwise first come, first
served.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from itertools import count
from weakref import WeakKeyDictionary

from fastapi import Request
from gradio.queueing import Event, EventQueue, Queue

_MOST_REMEMBERED = 1024


class UiTurns:
    """Chooses the next event in each line of ``queue``: from the client with the fewest running events, and of several
    such clients, the one served longest ago.

    If several events may run at once, a client can have at most half of them. ``client_of`` returns the client of a
    request.
    """

    def __init__(self, queue: Queue, client_of: Callable[[Request], str]) -> None:
        self._queue = queue
        self._client_of = client_of
        self._clients: WeakKeyDictionary[Event, str] = WeakKeyDictionary()
        self._turns = count()
        self._last_turn: dict[str, int] = {}

    def next_events(self) -> tuple[list[Event], bool, str] | None:
        """The next event as a list, whether it is a batch (never), and the id of its line.

        Replaces ``Queue.get_events``, which the queue calls a thousand times per second while an event waits.
        """
        lines = list(self._queue.event_queue_per_concurrency_id.values())
        random.shuffle(lines)
        for line in lines:
            has_room = line.concurrency_limit is None or line.current_concurrency < line.concurrency_limit
            if line.queue and has_room and (event := self._next_of(line)) is not None:
                line.queue.remove(event)
                self._note_turn(self._client(event))
                return [event], False, line.concurrency_id
        return None

    def _next_of(self, line: EventQueue) -> Event | None:
        first_events: dict[str, Event] = {}
        for event in line.queue:
            first_events.setdefault(self._client(event), event)
        n_running = Counter(
            self._client(event)
            for events in self._queue.active_jobs
            for event in events or ()
            if event.concurrency_id == line.concurrency_id
        )
        most = None if line.concurrency_limit is None else max(1, line.concurrency_limit // 2)
        may_run = [client for client in first_events if most is None or n_running[client] < most]
        if not may_run:
            return None
        return first_events[min(may_run, key=lambda client: (n_running[client], self._last_turn.get(client, -1)))]

    def _note_turn(self, client: str) -> None:
        self._last_turn[client] = next(self._turns)
        if len(self._last_turn) > _MOST_REMEMBERED:
            here = {self._client(event) for event in self._queue.event_ids_to_events.values()}
            self._last_turn = {client: turn for client, turn in self._last_turn.items() if client in here}

    def _client(self, event: Event) -> str:
        if event not in self._clients:
            self._clients[event] = self._client_of(event.request)
        return self._clients[event]
