"""A chain of fingerprints against the stored text: as far as it reaches on both sides, or not at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from santacoder.attribution.chains import Chain
from santacoder.attribution.corpus_text import CorpusText, Piece
from santacoder.attribution.names import renamed_stretches
from santacoder.attribution.tokens import Tokens
from santacoder.attribution.winnowing import RUN

_MARGIN = 128


@dataclass(frozen=True)
class Run:
    """Tokens ``first`` to before ``last`` of a text, which also stand in ``lines`` of ``file``, first and last; there
    perhaps with other names, where it is ``renamed``."""

    first: int
    last: int
    file: int
    lines: tuple[int, int]
    renamed: bool = False


def widen(text: CorpusText, query: Tokens, place: int, chain: Chain) -> list[Run]:
    """The longest run around ``chain``, whose first fingerprint is at ``place`` in ``query``; none where the stored
    text has not even that fingerprint, and several where names are exchanged, but not the same ones throughout.

    In steps of four times the width, so that a long file is read no further than the run reaches.

    Raises:
        AttributionError: the file was changed since it was indexed.
    """
    margin = _MARGIN
    n_query = len(query.hashes)
    while True:
        piece = text.tokens(chain.file, max(0, chain.place - margin), chain.place + RUN + margin)
        found = piece.tokens.hashes
        at = chain.place - piece.first
        back, on = min(place, at), min(n_query - place, len(found) - at)
        equal = query.hashes[place - back : place + on] == found[at - back : at + on]
        left, right = _leading(equal[:back][::-1]), _leading(equal[back:])
        if right < RUN:
            return []
        more_before = left == back < place and piece.first > 0
        more_behind = right == on < n_query - place and piece.first + len(found) < text.n_tokens(chain.file)
        if not more_before and not more_behind:
            return _runs(query, place - left, place + right, chain.file, piece, at - left)
        margin *= 4


def _runs(query: Tokens, first: int, last: int, file: int, piece: Piece, at: int) -> list[Run]:
    """Tokens ``first`` to before ``last``, which stand at ``at`` in ``piece``, as one run or as several."""
    asked, stored = query.exact[first:last], piece.tokens.exact[at : at + last - first]
    if np.array_equal(asked, stored):
        return [_run(first, last, file, piece, at, False)]
    runs = []
    for begin, end in renamed_stretches(asked.tolist(), stored.tolist()):
        renamed = not np.array_equal(asked[begin:end], stored[begin:end])
        runs.append(_run(first + begin, first + end, file, piece, at + begin, renamed))
    return runs


def _run(first: int, last: int, file: int, piece: Piece, at: int, renamed: bool) -> Run:
    begin, end = int(piece.tokens.starts[at]), int(piece.tokens.ends[at + last - first - 1])
    line = piece.line + piece.content.count(b"\n", 0, begin)
    return Run(first, last, file, (line, line + piece.content.count(b"\n", begin, end)), renamed)


def _leading(equal: np.ndarray) -> int:
    """How many are true before the first that is not."""
    return len(equal) if equal.all() else int(np.argmin(equal))
