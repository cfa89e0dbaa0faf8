"""Copies with renamed identifiers: identifiers match any other at first, then the mapping must be one-to-one."""

from __future__ import annotations

import keyword
from collections.abc import Sequence

KEYWORDS = {
    "#": frozenset(keyword.kwlist),
    # Java and JavaScript: words that cannot be identifiers in either of the two
    "//": frozenset(
        """abstract assert async await boolean break byte case catch char class const continue debugger default delete
        do double else enum export extends false final finally float for function if implements import in instanceof
        int interface let long native new null of package private protected public return short static strictfp super
        switch synchronized this throw throws transient true try typeof undefined var void volatile while with
        yield""".split()
    ),
}
"""Words that are not identifiers, by comment style."""


def renamed_stretches(one: Sequence[int], other: Sequence[int]) -> list[tuple[int, int]]:
    """The longest stretches, as first and last + 1, in which tokens of ``one`` and ``other`` map one-to-one.

    They may overlap. Both sequences must have the same length.
    """
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
