"""Which slots are free, and what each still holds: a request that begins like an earlier one need not be read again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# fewer tokens in common than this are read again sooner than a slot's other contents are given up
WORTH_KEEPING = 16
_NOTHING = np.array([], dtype=np.int32)


class Place(NamedTuple):
    """A slot, of which ``n_cached`` positions are right once ``copy_from``, if any, has been copied into it."""

    slot: int
    n_cached: int
    copy_from: int | None


class Slots:
    """Free slots, the one unused for longest first, and the tokens whose keys and values each slot has.

    Tokens are compared by the thousand for every request that waits, so they are arrays [T] int32.
    """

    def __init__(self, n_slots: int) -> None:
        self._free = list(range(n_slots))
        self._contents = [_NOTHING] * n_slots

    @property
    def n_free(self) -> int:
        return len(self._free)

    def held(self, ids: Sequence[int] | np.ndarray) -> int:
        """How much of the beginning of ``ids``, but for the last, some slot has."""
        return max(self._shared(ids))

    def take(self, ids: Sequence[int] | np.ndarray) -> Place:
        """A free slot for a sequence that begins with ``ids``, all but the last of which may be there already."""
        shared = self._shared(ids)
        best_free = max(self._free, key=lambda slot: shared[slot])
        if shared[best_free] < WORTH_KEEPING:
            best_free = self._free[0]
        best = max(range(len(shared)), key=lambda slot: shared[slot])
        copy = shared[best] >= shared[best_free] + WORTH_KEEPING
        self._free.remove(best_free)
        n_cached = shared[best if copy else best_free]
        self._contents[best_free] = np.asarray(ids[:n_cached], dtype=np.int32)
        return Place(best_free, n_cached, best if copy else None)

    def hold(self, slot: int, ids: Sequence[int] | np.ndarray) -> None:
        """Note that the keys and values of ``ids`` are in ``slot``."""
        self._contents[slot] = np.asarray(ids, dtype=np.int32)

    def give_back(self, slot: int) -> None:
        self._free.append(slot)

    def forget(self, slot: int) -> None:
        """Note that what is in ``slot`` cannot be relied on."""
        self._contents[slot] = _NOTHING

    def _shared(self, ids: Sequence[int] | np.ndarray) -> list[int]:
        tokens = np.asarray(ids[:-1], dtype=np.int32)
        return [common_prefix(contents, tokens) for contents in self._contents]


def common_prefix(first: np.ndarray, second: np.ndarray) -> int:
    """How many tokens two sequences begin with alike."""
    length = min(len(first), len(second))
    if not length:
        return 0
    differs = first[:length] != second[:length]
    index = int(differs.argmax())
    return index if differs[index] else length
