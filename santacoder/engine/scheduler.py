"""Who runs: a bounded waiting line, a slot for each running sequence, and turns between clients and sequences."""

from __future__ import annotations

from collections import Counter, deque
from typing import NamedTuple

import numpy as np

from santacoder.engine.sequence import Sequence
from santacoder.engine.slots import WORTH_KEEPING, Place, Slots, common_prefix

_NOTHING = np.array([], dtype=np.int32)


class Turn(NamedTuple):
    """Sequences to advance now: all that decode, and of those whose prompt is prefilled one, and all that have but its
    last token left.

    One prompt chunk a turn keeps a long prompt from holding up the others for longer than that chunk. ``paused`` have
    lost their slot to another client with this turn: what their ``last_slot`` holds is to be saved first. ``admitted``
    are those that got their place with this turn, in order; one that was paused gets back what was saved.
    """

    decoding: list[Sequence]
    prefilling: list[Sequence]
    paused: list[Sequence]
    admitted: list[tuple[Sequence, Place]]


class Scheduler:
    """Clients take turns; the sequences of one client are served in the order in which they came.

    The next free slot goes to the client that has the fewest. Where none is free and a client has none at all, the
    latest sequence of the client with the most is paused for it. :meth:`add` is for any thread, the rest for the
    engine's.
    """

    def __init__(self, n_slots: int, max_waiting: int) -> None:
        self._slots = Slots(n_slots)
        self._n_slots = n_slots
        self._max_waiting = max_waiting
        self._waiting: dict[str, deque[Sequence]] = {}  # by client, the one served longest ago first
        self._prefilled_last = ""  # the client whose prompt was prefilled in the last turn
        self.running: list[Sequence] = []

    def add(self, sequence: Sequence) -> bool:
        """Put ``sequence`` in line; False where the line is full."""
        # those for whom there is a slot wait for the end of a step alone
        if self.n_waiting >= self._max_waiting + self._slots.n_free:
            return False
        self._waiting.setdefault(sequence.client, deque()).append(sequence)
        return True

    @property
    def idle(self) -> bool:
        return not self._waiting and not self.running

    @property
    def n_free_slots(self) -> int:
        return self._slots.n_free

    @property
    def n_waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    def turn(self) -> Turn:
        self._release_cancelled()
        paused, admitted = self._admit()
        decoding = [sequence for sequence in self.running if not sequence.n_to_prefill]
        decoding.sort(key=_slot)  # neighbours' keys and values are read where they are
        prefilling = [sequence for sequence in self.running if sequence.n_to_prefill == 1]
        unfinished = [sequence for sequence in self.running if sequence.n_to_prefill > 1]
        if unfinished:
            chunked = next(
                (sequence for sequence in unfinished if sequence.client != self._prefilled_last), unfinished[0]
            )
            self._prefilled_last = chunked.client
            # the next turn begins with another one
            self.running.remove(chunked)
            self.running.append(chunked)
            prefilling.append(chunked)
        return Turn(decoding, prefilling, paused, admitted)

    def release(self, sequence: Sequence) -> None:
        """Free the slot of a running sequence; its prompt stays there for the next that begins alike."""
        self.running.remove(sequence)
        slot = _slot(sequence)
        self._slots.hold(slot, _reusable(sequence))
        self._slots.give_back(slot)
        sequence.slot = None

    def forget(self, sequence: Sequence) -> None:
        """Free the slot of a running sequence, and trust nothing that is in it."""
        slot = _slot(sequence)
        self.release(sequence)
        self._slots.forget(slot)

    def everyone(self) -> list[Sequence]:
        """All sequences, running or waiting."""
        return [*self.running, *(sequence for line in self._waiting.values() for sequence in line)]

    def clear_waiting(self) -> None:
        self._waiting.clear()

    def _admit(self) -> tuple[list[Sequence], list[tuple[Sequence, Place]]]:
        paused: list[Sequence] = []
        admitted: list[tuple[Sequence, Place]] = []
        for sequence in self.running:  # what they have read by now may serve a newcomer
            self._slots.hold(_slot(sequence), _reusable(sequence))
        settled = list(self.running)
        while (newcomer := self._next()) is not None:
            if not self._slots.n_free:
                to_pause = self._to_pause(settled)
                if to_pause is None:
                    break
                self._pause(to_pause)
                settled.remove(to_pause)
                paused.append(to_pause)
            reuses = newcomer.use_cache and not newcomer.is_paused
            place = self._slots.take(newcomer.prompt if reuses else _NOTHING)
            if not newcomer.is_paused:
                newcomer.n_computed = newcomer.n_cached = place.n_cached
            self._leave_line(newcomer)
            newcomer.waits_for = None
            newcomer.slot = newcomer.last_slot = place.slot
            self.running.append(newcomer)
            admitted.append((newcomer, place))
        return paused, admitted

    def _next(self) -> Sequence | None:
        """Whoever gets the next slot: one that is free, or that of a sequence which can be paused."""
        if not self._waiting:  # which is most turns
            return None
        n_running = self._n_running()
        for client in sorted(self._waiting, key=n_running.__getitem__):  # those with as many stay in their order
            if not self._slots.n_free and n_running[client]:
                return None
            for sequence in self._waiting[client]:
                if sequence.is_paused or not self._should_wait(sequence):
                    return sequence
        return None

    def _to_pause(self, settled: list[Sequence]) -> Sequence | None:
        """The latest sequence of the client that has the most, if it has several. What is saved of those that are
        paused takes no more memory than the slots do."""
        if sum(sequence.is_paused for line in self._waiting.values() for sequence in line) >= self._n_slots:
            return None
        n_running = self._n_running()
        several = [sequence for sequence in settled if n_running[sequence.client] > 1]
        return max(several, key=lambda each: (n_running[each.client], each.submitted_at), default=None)

    def _pause(self, sequence: Sequence) -> None:
        self.release(sequence)
        sequence.is_paused = True
        self._waiting.setdefault(sequence.client, deque()).appendleft(sequence)

    def _n_running(self) -> Counter[str]:
        return Counter(sequence.client for sequence in self.running)

    def _leave_line(self, sequence: Sequence) -> None:
        """Its client is the last of those that wait now."""
        line = self._waiting.pop(sequence.client)
        line.remove(sequence)
        if line:
            self._waiting[sequence.client] = line

    def _should_wait(self, sequence: Sequence) -> bool:
        """Whether a prompt that begins like that of ``sequence`` will soon be read further than any slot's contents
        are now. It is remembered which: comparing all that wait in every turn would hold up those who write."""
        if not sequence.use_cache:
            return False
        if sequence.waits_for is not None:
            other, alike = sequence.waits_for
            if other.slot is not None and other.n_to_prefill > 1 and other.n_computed < alike:
                return True
        prefilling = [other for other in self.running if other.n_to_prefill > 1]
        likeness = [common_prefix(other.prompt, sequence.prompt) for other in prefilling]
        alike = max(likeness, default=0)
        if alike < WORTH_KEEPING or alike <= self._slots.held(sequence.prompt):
            return False
        sequence.waits_for = prefilling[likeness.index(alike)], alike
        return True

    def _release_cancelled(self) -> None:
        for sequence in [sequence for sequence in self.everyone() if sequence.cancelled.is_set()]:
            sequence.finish("cancelled")
            if sequence.slot is None:
                self._leave_line(sequence)
            else:
                self.release(sequence)


def _slot(sequence: Sequence) -> int:
    assert sequence.slot is not None
    return sequence.slot


def _reusable(sequence: Sequence) -> np.ndarray:
    """What others may go on from. Keys and values of tokens that were written differ in their last bits from those of
    a prompt with the same tokens, and a text must not depend on which of them it finds."""
    return sequence.prompt[: sequence.n_computed]
