"""Names in copies that may have renamed them: at first all names are alike, then each must stand for one other."""

from __future__ import annotations

import keyword
from collections.abc import Sequence

KEYWORDS = {
    "#": frozenset(keyword.kwlist),
    # Java and JavaScript: the words that no name can be, in either of the two
    "//": frozenset(
        """abstract assert async await boolean break byte case catch char class const continue debugger default delete
        do double else enum export extends false final finally float for function if implements import in instanceof
        int interface let long native new null of package private protected public return short static strictfp super
        switch synchronized this throw throws transient true try typeof undefined var void volatile while with
        yield""".split()
    ),
}
"""Words that are no names, by the style of comments."""


def renamed_stretches(one: Sequence[int], other: Sequence[int]) -> list[tuple[int, int]]:
    """The longest stretches, first and last + 1, in which every token of ``one`` stands for a single one of ``other``,
    and the other way round. They may overlap; both have the same length."""
    stretches = []
    start = 0
    partners: tuple[dict[int, tuple[int, int]], dict[int, tuple[int, int]]] = ({}, {})
    for place, pair in enumerate(zip(one, other, strict=True)):
        begin = start
        for known, token, partner in zip(partners, pair, pair[::-1], strict=True):
            before, last = known.get(token, (partner, place))
            if before != partner:
                begin = max(begin, last + 1)
            known[token] = (partner, place)
        if begin > start:
            stretches.append((start, place))
            start = begin
    return [*stretches, (start, len(one))] if one else []
