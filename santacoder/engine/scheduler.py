"""Schedules sequences: a bounded queue, a slot for each running sequence, and turns between clients."""

from __future__ import annotations

from collections import Counter, deque
from typing import NamedTuple

import numpy as np

from santacoder.engine.sequence import Sequence
from santacoder.engine.slots import WORTH_KEEPING, Place, Slots, common_prefix

PROMPT_CHUNK = 256
"""Prompt tokens of one sequence that are prefilled in a turn."""
# Prompt tokens prefilled in a turn for each sequence that decodes. With santacoder/mini of version 0.2.0 on two Zen 5
# cores and prompts of 340 tokens, 200 clients wait 0.5 s for their first token, and 2.5 s with a third of this value;
# the 99th percentile of the time between tokens is 167 ms, and 106 ms with a third.
_PROMPT_TOKENS_EACH = 24
# the minimum, so that the uncached ends of several clients' prompts are prefilled in one turn
_LEAST_PROMPT_TOKENS = 64
_NOTHING = np.array([], dtype=np.int32)


class Turn(NamedTuple):
    """The sequences to advance in one turn.

    ``decoding`` are all sequences that generate tokens. ``prefilling`` are those that have a single prompt token left,
    and some with more, a chunk of each: one, and others if all are short or many sequences decode. So a long prompt
    delays few sequences by one chunk at most, and more the more of them share the delay. ``paused`` lost their slot to
    another client; the contents of their ``last_slot`` must be saved first. ``admitted`` got a slot, in order; what was
    saved of a paused sequence is restored.
    """

    decoding: list[Sequence]
    prefilling: list[Sequence]
    paused: list[Sequence]
    admitted: list[tuple[Sequence, Place]]


class Scheduler:
    """Clients take turns; the sequences of one client are served in order of arrival.

    The next free slot goes to the client with the fewest running sequences. If no slot is free and a client has none
    running, the newest sequence of the client with the most is paused. Any thread may call :meth:`add`; the other
    methods are for the engine's thread.
    """

    def __init__(self, n_slots: int, max_waiting: int) -> None:
        self._slots = Slots(n_slots)
        self._n_slots = n_slots
        self._max_waiting = max_waiting
        self._waiting: dict[str, deque[Sequence]] = {}  # by client, least recently served first
        self._prefilled_last = ""  # the client whose prompt was prefilled in the last turn
        self.running: list[Sequence] = []

    def add(self, sequence: Sequence) -> bool:
        """Enqueue ``sequence``. Returns False if the queue is full."""
        # sequences for which a slot is free do not count: they only wait for the end of a step
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
        decoding.sort(key=_slot)  # keys and values of adjacent slots need not be copied
        prefilling = [sequence for sequence in self.running if sequence.n_to_prefill == 1]
        prefilling += self._chunked(max(_LEAST_PROMPT_TOKENS, _PROMPT_TOKENS_EACH * len(decoding)))
        return Turn(decoding, prefilling, paused, admitted)

    def _chunked(self, n_tokens: int) -> list[Sequence]:
        """The sequences that prefill a chunk in this turn: one, and others while all chunks together have at most
        ``n_tokens``. Clients take turns, and the next turn prefills others."""
        unfinished = [sequence for sequence in self.running if sequence.n_to_prefill > 1]
        chosen: list[Sequence] = []
        while unfinished:
            chunked = next(
                (sequence for sequence in unfinished if sequence.client != self._prefilled_last), unfinished[0]
            )
            n_tokens -= min(chunked.n_to_prefill, PROMPT_CHUNK)
            if chosen and n_tokens < 0:
                break
            self._prefilled_last = chunked.client
            unfinished.remove(chunked)
            self.running.remove(chunked)
            self.running.append(chunked)
            chosen.append(chunked)
        return chosen

    def release(self, sequence: Sequence) -> None:
        """Free the slot of a running sequence. Its prompt stays cached for prompts with the same prefix."""
        self.running.remove(sequence)
        slot = _slot(sequence)
        self._slots.hold(slot, _reusable(sequence))
        self._slots.give_back(slot)
        sequence.slot = None

    def forget(self, sequence: Sequence) -> None:
        """Free the slot of a running sequence, and invalidate its contents."""
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
        if not self._waiting:  # as in most turns
            return paused, admitted
        for sequence in self.running:  # a new sequence may reuse what they have prefilled so far
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
        """The sequence that gets the next slot: a free one, or that of a sequence to be paused."""
        if not self._waiting:
            return None
        n_running = self._n_running()
        for client in sorted(self._waiting, key=n_running.__getitem__):  # the sort is stable
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
        """Remove ``sequence`` from the queue; its client becomes the most recently served."""
        line = self._waiting.pop(sequence.client)
        line.remove(sequence)
        if line:
            self._waiting[sequence.client] = line

    def _should_wait(self, sequence: Sequence) -> bool:
        """Whether another sequence is prefilling a longer common prefix than any slot holds now. That sequence is
        remembered, because comparing all waiting prompts in every turn would delay the running ones."""
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
    """The part of the prompt that others may reuse. Generated tokens are left out: their keys and values differ in the
    last bits from those of a prompt with the same tokens, and a text must not depend on which of them is cached."""
    return sequence.prompt[: sequence.n_computed]
