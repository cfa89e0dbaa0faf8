"""Prompt lookup: guess the next tokens from an earlier place in the text that ends alike, and check them in one step.

Saxena, "Prompt Lookup Decoding" (2023); the check is that of speculative decoding (Leviathan et al., arXiv 2211.17192)
with a draft that is certain: a token is chosen as ever, and the draft is followed for as long as it agrees. So the text
is the one written without drafts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

_LONGEST = 7
_NGRAMS = (4, 3, 2)
# how much the latest observation counts in a running mean
_SHARE_OF_LATEST = 0.2
# tokens after which a draft is tried again where drafts did not pay
_PAUSE = 24

T = TypeVar("T")


def lookup(ids: Sequence[int], longest: int = _LONGEST) -> list[int]:
    """What followed the latest earlier place in ``ids`` that ends in the same 4, 3 or 2 tokens; often nothing."""
    tokens = np.asarray(ids)
    for size in _NGRAMS:
        if len(tokens) <= size:
            continue
        matches = np.ones(len(tokens) - size, dtype=bool)
        for offset in range(size):
            matches &= tokens[offset : offset + len(matches)] == tokens[len(tokens) - size + offset]
        found = np.flatnonzero(matches)
        if len(found):
            start = int(found[-1]) + size
            return [int(token) for token in tokens[start : start + longest]]
    return []


class Drafting:
    """Whether drafts pay, from what steps and checks took and how many tokens of a draft were right."""

    def __init__(self) -> None:
        self._step_seconds: float | None = None
        self._check_seconds: float | None = None
        self._n_right = float(_LONGEST)
        self._pause = 0

    def draft(self, ids: Sequence[int], room: int) -> list[int]:
        """Tokens to check, at most ``room``; none where a plain step is the better bet."""
        if self._pause > 0:
            self._pause -= 1
            return []
        if self._step_seconds is None or room < 1:
            return []
        return lookup(ids, min(_LONGEST, room))

    def timed_step(self, step: Callable[[], T]) -> T:
        started = time.perf_counter()
        result = step()
        self._step_seconds = _mean(self._step_seconds, time.perf_counter() - started)
        return result

    def timed_check(self, check: Callable[[], T]) -> T:
        started = time.perf_counter()
        result = check()
        self._check_seconds = _mean(self._check_seconds, time.perf_counter() - started)
        return result

    def report(self, n_right: int) -> None:
        """Take note of how many tokens of a draft were right; pause where a check costs more than it brings."""
        self._n_right = _mean(self._n_right, n_right)
        assert self._step_seconds is not None and self._check_seconds is not None
        if (1 + self._n_right) * self._step_seconds < self._check_seconds:
            self._pause = _PAUSE
            self._n_right = 2.0


def _mean(before: float | None, latest: float) -> float:
    return latest if before is None else (1 - _SHARE_OF_LATEST) * before + _SHARE_OF_LATEST * latest
