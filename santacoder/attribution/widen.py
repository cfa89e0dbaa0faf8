"""Extension of a chain of fingerprints in both directions, by comparison with the stored text."""

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
    """Tokens ``first`` to before ``last`` of a text that also occur in ``file``, in ``lines`` (first and last). If
    ``renamed``, the file uses other identifiers.
    """

    first: int
    last: int
    file: int
    lines: tuple[int, int]
    renamed: bool = False


def widen(text: CorpusText, query: Tokens, place: int, chain: Chain) -> list[Run]:
    """Find the longest runs around ``chain``, whose first fingerprint is at ``place`` in ``query``.

    The result is empty if the stored text does not even contain that fingerprint. It has several runs if identifiers
    are renamed inconsistently. The compared part grows by a factor of four, so that little more than the run is read of
    a long file.

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
        if on < RUN:  # the index places the fingerprint where the text has no such run
            return []
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
    """Tokens ``first`` to before ``last``, which occur at ``at`` in ``piece``, as one run or several."""
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
    """The number of leading true values."""
    return len(equal) if equal.all() else int(np.argmin(equal))
