"""Who runs: a bounded waiting line, a slot for each running sequence, and turns between them."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np

from santacoder.engine.sequence import Sequence
from santacoder.engine.slots import WORTH_KEEPING, Place, Slots, common_prefix

_NOTHING = np.array([], dtype=np.int32)


class Turn(NamedTuple):
    """Sequences to advance now: all that are writing, and of those still reading their prompt one, and all that have
    but its last token to read.

    One prompt chunk a turn keeps a long prompt from holding up the others for longer than that chunk. ``admitted`` are
    those that got their place with this turn.
    """

    writing: list[Sequence]
    reading: list[Sequence]
    admitted: list[Place]


class Scheduler:
    """First come, first served into the slots. It belongs to the engine's thread, but for :meth:`add`."""

    def __init__(self, n_slots: int, max_waiting: int) -> None:
        self._slots = Slots(n_slots)
        self._max_waiting = max_waiting
        self._waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []

    def add(self, sequence: Sequence) -> bool:
        """Put ``sequence`` in line; False where the line is full."""
        # those for whom there is a slot wait for the end of a step alone
        if len(self._waiting) >= self._max_waiting + self._slots.n_free:
            return False
        self._waiting.append(sequence)
        return True

    @property
    def idle(self) -> bool:
        return not self._waiting and not self.running

    @property
    def n_free_slots(self) -> int:
        return self._slots.n_free

    @property
    def n_waiting(self) -> int:
        return len(self._waiting)

    def turn(self) -> Turn:
        self._release_cancelled()
        admitted = self._admit()
        writing = [sequence for sequence in self.running if not sequence.n_unread]
        writing.sort(key=_slot)  # neighbours' keys and values are read where they are
        reading = [sequence for sequence in self.running if sequence.n_unread == 1]
        if chunked := next((sequence for sequence in self.running if sequence.n_unread > 1), None):
            # the next turn begins with another one
            self.running.remove(chunked)
            self.running.append(chunked)
            reading.append(chunked)
        return Turn(writing, reading, admitted)

    def release(self, sequence: Sequence) -> None:
        """Free the slot of a running sequence; its prompt stays there for the next that begins alike."""
        self.running.remove(sequence)
        slot = _slot(sequence)
        self._slots.hold(slot, _read_of_prompt(sequence))
        self._slots.give_back(slot)
        sequence.slot = None

    def forget(self, sequence: Sequence) -> None:
        """Free the slot of a running sequence, and trust nothing that is in it."""
        slot = _slot(sequence)
        self.release(sequence)
        self._slots.forget(slot)

    def everyone(self) -> list[Sequence]:
        """All sequences, running or waiting."""
        return [*self.running, *self._waiting]

    def clear_waiting(self) -> None:
        self._waiting.clear()

    def _admit(self) -> list[Place]:
        places = []
        for sequence in self.running:  # what they have read by now may serve a newcomer
            self._slots.hold(_slot(sequence), _read_of_prompt(sequence))
        for sequence in list(self._waiting):
            if not self._slots.n_free:
                break
            if self._should_wait(sequence):
                continue
            place = self._slots.take(sequence.prompt if sequence.use_cache else _NOTHING)
            self._waiting.remove(sequence)
            sequence.waits_for = None
            sequence.slot = sequence.last_slot = place.slot
            sequence.n_read = sequence.n_cached = place.n_cached
            self.running.append(sequence)
            places.append(place)
        return places

    def _should_wait(self, sequence: Sequence) -> bool:
        """Whether a prompt that begins like that of ``sequence`` will soon be read further than any slot's contents
        are now. It is remembered which: comparing all that wait in every turn would hold up those who write."""
        if not sequence.use_cache:
            return False
        if sequence.waits_for is not None:
            other, alike = sequence.waits_for
            if other.slot is not None and other.n_unread > 1 and other.n_read < alike:
                return True
        reading = [other for other in self.running if other.n_unread > 1]
        likeness = [common_prefix(other.prompt, sequence.prompt) for other in reading]
        alike = max(likeness, default=0)
        if alike < WORTH_KEEPING or alike <= self._slots.held(sequence.prompt):
            return False
        sequence.waits_for = reading[likeness.index(alike)], alike
        return True

    def _release_cancelled(self) -> None:
        for sequence in [sequence for sequence in self.running if sequence.cancelled.is_set()]:
            sequence.finish("cancelled")
            self.release(sequence)
        for sequence in [sequence for sequence in self._waiting if sequence.cancelled.is_set()]:
            sequence.finish("cancelled")
            self._waiting.remove(sequence)


def _slot(sequence: Sequence) -> int:
    assert sequence.slot is not None
    return sequence.slot


def _read_of_prompt(sequence: Sequence) -> np.ndarray:
    """What others may go on from. Keys and values of tokens that were written differ in their last bits from those of
    a prompt with the same tokens, and a text must not depend on which of them it finds."""
    return sequence.prompt[: sequence.n_read]
