"""Who runs: a bounded waiting line, a slot for each running sequence, and turns between them."""

from __future__ import annotations

from collections import deque

from santacoder.engine.sequence import Sequence


class Scheduler:
    """First come, first served into the slots. It belongs to the engine's thread, but for :meth:`add`."""

    def __init__(self, n_slots: int, max_waiting: int) -> None:
        self._free = list(range(n_slots))
        self._max_waiting = max_waiting
        self._waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []

    def add(self, sequence: Sequence) -> bool:
        """Put ``sequence`` in line; False where the line is full."""
        if len(self._waiting) >= self._max_waiting:
            return False
        self._waiting.append(sequence)
        return True

    @property
    def idle(self) -> bool:
        return not self._waiting and not self.running

    @property
    def n_free_slots(self) -> int:
        return len(self._free)

    def turn(self) -> list[Sequence]:
        """Sequences to advance now: all that are writing, and the first of those still reading their prompt.

        One prompt chunk a turn keeps a long prompt from holding up the others for longer than that chunk.
        """
        self._release_cancelled()
        while self._waiting and self._free:
            sequence = self._waiting.popleft()
            sequence.slot = self._free.pop()
            self.running.append(sequence)
        writing = [sequence for sequence in self.running if sequence.n_unread == 1]
        reading = [sequence for sequence in self.running if sequence.n_unread > 1]
        if reading:
            # the next turn begins with another one
            self.running.remove(reading[0])
            self.running.append(reading[0])
        return writing + reading[:1]

    def release(self, sequence: Sequence) -> None:
        """Free the slot of a running sequence."""
        self.running.remove(sequence)
        assert sequence.slot is not None
        self._free.append(sequence.slot)
        sequence.slot = None

    def everyone(self) -> list[Sequence]:
        """All sequences, running or waiting."""
        return [*self.running, *self._waiting]

    def clear_waiting(self) -> None:
        self._waiting.clear()

    def _release_cancelled(self) -> None:
        for sequence in [sequence for sequence in self.running if sequence.cancelled.is_set()]:
            sequence.finish("cancelled")
            self.release(sequence)
        for sequence in [sequence for sequence in self._waiting if sequence.cancelled.is_set()]:
            sequence.finish("cancelled")
            self._waiting.remove(sequence)
