"""A chain of fingerprints against the stored text: as far as it reaches on both sides, or not at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from santacoder.attribution.chains import Chain
from santacoder.attribution.corpus_text import CorpusText
from santacoder.attribution.winnowing import GUARANTEED, RUN

_MARGIN = 2 * GUARANTEED


@dataclass(frozen=True)
class Run:
    """Tokens ``first`` to before ``last`` of a text, which also stand in ``lines`` of ``file``, first and last."""

    first: int
    last: int
    file: int
    lines: tuple[int, int]


def widen(text: CorpusText, content: bytes, query: np.ndarray, place: int, chain: Chain) -> Run | None:
    """The longest run around ``chain``, whose first fingerprint is at ``place`` in ``query`` [n] uint64, token hashes;
    none where the stored text in ``content`` has not even that fingerprint. In steps of four times the width, so that a
    long file is read no further than the run reaches."""
    margin = _MARGIN
    while True:
        first, last = max(0, chain.place - margin), chain.place + RUN + margin
        start, found = text.tokens(chain.file, content, first, last)
        at = chain.place - start
        back, on = min(place, at), min(len(query) - place, len(found.hashes) - at)
        equal = query[place - back : place + on] == found.hashes[at - back : at + on]
        left, right = _leading(equal[:back][::-1]), _leading(equal[back:])
        if right < RUN:
            return None
        more_before = left == back < place and start > 0
        more_behind = right == on < len(query) - place and start + len(found.hashes) < text.n_tokens(chain.file)
        if not more_before and not more_behind:
            break
        margin *= 4
    begin, end = int(found.starts[at - left]), int(found.ends[at + right - 1])
    first_line = content.count(b"\n", 0, begin) + 1
    return Run(place - left, place + right, chain.file, (first_line, first_line + content.count(b"\n", begin, end)))


def _leading(equal: np.ndarray) -> int:
    """How many are true before the first that is not."""
    return len(equal) if equal.all() else int(np.argmin(equal))
