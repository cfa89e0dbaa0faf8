"""Prompt lookup: guess the next tokens from an earlier place in the text that ends alike, and check them in one step.

Saxena, "Prompt Lookup Decoding" (2023); the check is that of speculative decoding (Leviathan et al., arXiv 2211.17192)
with a draft that is certain: a token is chosen as ever, and the draft is followed for as long as it agrees.

What a check computes of a token differs in the last bits from what a step does. So it depends on the text alone where
something is guessed, neither on the clock nor on other texts: a text is then the same in any company.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LONGEST = 7
_NGRAMS = (4, 3, 2)
# how much the latest observation counts in the running mean
_SHARE_OF_LATEST = 0.2
# tokens of a draft that have to be right on average: a check takes as long as one to two steps of a text alone, and
# as long as some three to eight texts in company take for a token each
_WORTHWHILE = 3.0
# tokens after which a draft is tried again where drafts were not worthwhile
_PAUSE = 24


def lookup(ids: Sequence[int], longest: int = LONGEST) -> list[int]:
    """What followed the latest earlier place in ``ids`` that ends in the same 4, 3 or 2 tokens; often nothing. Where
    the text ends before the draft is long enough, the draft goes on as if it had been written."""
    tokens = np.asarray(ids)
    for size in _NGRAMS:
        if len(tokens) <= size:
            continue
        matches = np.ones(len(tokens) - size, dtype=bool)
        for offset in range(size):
            matches &= tokens[offset : offset + len(matches)] == tokens[len(tokens) - size + offset]
        found = np.flatnonzero(matches)
        if len(found):
            following = [int(token) for token in tokens[int(found[-1]) + size :]]
            return [following[index % len(following)] for index in range(longest)]
    return []


class Drafting:
    """Whether drafts are worthwhile in one text, from how many of their tokens were right."""

    def __init__(self) -> None:
        self._n_right = float(LONGEST)
        self._pause = 0

    def draft(self, ids: Sequence[int], room: int) -> list[int]:
        """Tokens to check, at most ``room``; none where a plain step is the better bet."""
        if self._pause > 0:
            self._pause -= 1
            return []
        return lookup(ids, min(LONGEST, room)) if room > 0 else []

    def report(self, n_right: int) -> None:
        """Take note of how many tokens of a draft were right; pause where a check costs more than it brings."""
        self._n_right += _SHARE_OF_LATEST * (n_right - self._n_right)
        if self._n_right < _WORTHWHILE:
            self._pause = _PAUSE
            self._n_right = _WORTHWHILE
