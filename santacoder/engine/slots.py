"""Free slots and the tokens that each still holds, so that a request need not prefill a prefix that a slot has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# with fewer tokens in common than this, prefilling them again is cheaper than losing a slot's other contents
WORTH_KEEPING = 16
# free slots whose contents are kept before another slot's memory is used
_KEPT = 8
_NOTHING = np.array([], dtype=np.int32)


class Place(NamedTuple):
    """A slot whose first ``n_cached`` positions are valid, after ``copy_from``, if any, has been copied into it."""

    slot: int
    n_cached: int
    copy_from: int | None


class Slots:
    """Free slots, and the tokens whose keys and values each slot holds.

    Every waiting request compares thousands of tokens, so they are arrays [T] int32. A slot takes memory from its first
    use on, so one that has never been used is taken only while few others are free.
    """

    def __init__(self, n_slots: int) -> None:
        self._free = list(range(n_slots))  # those never used, then the least recently used first
        self._n_unused = n_slots
        self._contents = [_NOTHING] * n_slots

    @property
    def n_free(self) -> int:
        return len(self._free)

    def held(self, ids: Sequence[int] | np.ndarray) -> int:
        """The longest prefix of ``ids``, without the last token, that some slot holds."""
        return max(self._shared(ids))

    def take(self, ids: Sequence[int] | np.ndarray) -> Place:
        """A free slot for a sequence that begins with ``ids``; all of them but the last may be cached."""
        shared = self._shared(ids)
        best_free = max(self._free, key=lambda slot: shared[slot])
        if shared[best_free] < WORTH_KEEPING:
            best_free = self._least_recent()
        best = max(range(len(shared)), key=lambda slot: shared[slot])
        copy = shared[best] >= shared[best_free] + WORTH_KEEPING
        index = self._free.index(best_free)
        self._n_unused -= index < self._n_unused
        del self._free[index]
        n_cached = shared[best if copy else best_free]
        self._contents[best_free] = np.asarray(ids[:n_cached], dtype=np.int32)
        return Place(best_free, n_cached, best if copy else None)

    def hold(self, slot: int, ids: Sequence[int] | np.ndarray) -> None:
        """Record that ``slot`` holds the keys and values of ``ids``."""
        self._contents[slot] = np.asarray(ids, dtype=np.int32)

    def give_back(self, slot: int) -> None:
        self._free.append(slot)

    def forget(self, slot: int) -> None:
        """Record that the contents of ``slot`` are invalid."""
        self._contents[slot] = _NOTHING

    def _least_recent(self) -> int:
        """The free slot whose contents are needed least."""
        n_used = len(self._free) - self._n_unused
        return self._free[self._n_unused if n_used and (n_used >= _KEPT or not self._n_unused) else 0]

    def _shared(self, ids: Sequence[int] | np.ndarray) -> list[int]:
        tokens = np.asarray(ids[:-1], dtype=np.int32)
        return [common_prefix(contents, tokens) for contents in self._contents]


def common_prefix(first: np.ndarray, second: np.ndarray) -> int:
    """The length of the longest common prefix of two sequences."""
    length = min(len(first), len(second))
    if not length or first[0] != second[0]:  # as in most of hundreds of slots
        return 0
    differs = first[:length] != second[:length]
    index = int(differs.argmax())
    return index if differs[index] else length
