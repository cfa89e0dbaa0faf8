"""Feeding text to an end in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import cycle
from typing import Protocol


class End(Protocol):
    def feed(self, piece: str) -> tuple[str, bool]: ...

    def finish(self) -> str: ...


def split(text: str, sizes: Iterable[int]) -> Iterator[str]:
    """The pieces of ``text`` with these ``sizes``, over and over again."""
    at = 0
    for size in cycle(sizes):
        if at >= len(text):
            return
        yield text[at : at + size]
        at += size


def shown_of(end: End, text: str, *sizes: int) -> str:
    """The text that ``end`` shows of ``text``, fed in pieces of these sizes; shown text is never taken back."""
    shown = ""
    for piece in split(text, sizes):
        more, has_ended = end.feed(piece)
        shown += more
        assert text.startswith(shown)
        if has_ended:
            return shown
    return shown + end.finish()
