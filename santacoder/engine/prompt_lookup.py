"""Prompt lookup: draft the next tokens from an earlier occurrence of the last ones, and verify them in one step.

Saxena, "Prompt Lookup Decoding" (2023). Verification is that of speculative decoding (Leviathan et al., arXiv
2211.17192) with a deterministic draft: each token is sampled as usual, and the draft is accepted as long as it agrees.

Verifying a token and decoding it differ in the last bits. To keep texts batch-invariant, whether there is a draft
depends only on the text, never on the clock or on other texts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LONGEST = 7
_NGRAMS = (4, 3, 2)
# how much the latest observation counts in the running mean
_SHARE_OF_LATEST = 0.2
# tokens of a draft that must be right on average: verification takes as long as one to two steps of a single text, and
# as long as three to eight batched texts take for a token each
_WORTHWHILE = 3.0
# tokens until the next draft, once drafts were not worthwhile
_PAUSE = 24


def lookup(ids: Sequence[int], longest: int = LONGEST) -> list[int]:
    """What followed the last earlier occurrence of the final 4, 3 or 2 tokens of ``ids``; often nothing. If the text
    ends before the draft is long enough, the draft continues with its own beginning."""
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
    """Decides whether drafts are worthwhile in one text, from how many of their tokens were right."""

    def __init__(self) -> None:
        self._n_right = float(LONGEST)
        self._pause = 0

    def draft(self, ids: Sequence[int], room: int) -> list[int]:
        """Tokens to verify, at most ``room``; none if a plain step is probably faster."""
        if self._pause > 0:
            self._pause -= 1
            return []
        return lookup(ids, min(LONGEST, room)) if room > 0 else []

    def report(self, n_right: int) -> None:
        """Record how many tokens of a draft were right; pause if verification costs more than it saves."""
        self._n_right += _SHARE_OF_LATEST * (n_right - self._n_right)
        if self._n_right < _WORTHWHILE:
            self._pause = _PAUSE
            self._n_right = _WORTHWHILE
