"""Feeding text to an end in pieces."""

from __future__ import annotations

from typing import Protocol


class End(Protocol):
    def feed(self, piece: str) -> tuple[str, bool]: ...

    def finish(self) -> str: ...


def shown_of(end: End, text: str, size: int) -> str:
    """The text that ``end`` shows of ``text``, fed ``size`` characters at a time; shown text is never taken back."""
    shown = ""
    for at in range(0, len(text), size):
        more, has_ended = end.feed(text[at : at + size])
        shown += more
        assert text.startswith(shown)
        if has_ended:
            return shown
    return shown + end.finish()
