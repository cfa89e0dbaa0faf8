"""Common runs of two texts, found by brute force: tokens are strings, and every pair of positions is compared."""

from __future__ import annotations

import itertools
import re
from functools import lru_cache

STRINGS = r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\''
COMMENTS = {"#": r"#.*", "//": r"//.*|/\*.*?\*/|/\*.*"}


@lru_cache(maxsize=200)
def tokens(text: str, style: str) -> list[tuple[str, int, int]]:
    """Words and other characters with their start and end, line by line, without comments."""
    found = []
    offset = 0
    for line in text.split("\n"):
        code = re.sub(r"^[ \t]*\*(?=[ \t/]|$).*", lambda match: " " * len(match[0]), line) if style == "//" else line
        strings = STRINGS + (r"|`(?:\\.|[^`\\])*`" if style == "//" else "")
        code = re.sub(
            rf"\\.|{strings}|({COMMENTS[style]})",
            lambda match: " " * len(match[0]) if match[1] is not None else match[0],
            code,
        )
        words = re.finditer(r"(?:[A-Za-z0-9_$]|[^\x00-\x7f])+|[^\x00-\x20\x7f]", code)
        found += [(match[0], offset + match.start(), offset + match.end()) for match in words]
        offset += len(line) + 1
    return found


def shared_runs(one: list[str], other: list[str], at_least: int) -> set[tuple[int, int]]:
    """Maximal runs of ``one`` that occur in ``other``, as first and last + 1, for every pair of positions."""
    beginnings = set(itertools.pairwise(one))
    places: dict[tuple[str, ...], list[int]] = {}
    for place in range(len(other) - at_least + 1):
        if (other[place], other[place + 1]) in beginnings:
            places.setdefault(tuple(other[place : place + at_least]), []).append(place)
    runs = set()
    for first in range(len(one) - at_least + 1):
        for place in places.get(tuple(one[first : first + at_least]), []):
            if first and place and one[first - 1] == other[place - 1]:
                continue
            length = at_least
            while (
                first + length < len(one)
                and place + length < len(other)
                and one[first + length] == other[place + length]
            ):
                length += 1
            runs.add((first, first + length))
    return runs
