"""Stop sequences in streamed text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache


class StopFinder:
    """Passes text on up to the first stop sequence, holding back what could still become one.

    It looks at every character once (Knuth, Morris and Pratt, 1977), however much text is held back.
    """

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = [(sequence, borders(sequence)) for sequence in stop]
        self._matched = [0] * len(self._stop)  # for each sequence, the length of its prefix that the text ends with
        self._held = ""

    def feed(self, text: str) -> tuple[str, bool]:
        """Text that is safe to show, and whether a stop sequence was reached."""
        begins = [
            len(self._held) + end - len(sequence)
            for index, (sequence, _) in enumerate(self._stop)
            if (end := self._advance(index, text)) is not None
        ]
        self._held += text
        if begins:
            shown, self._held = self._held[: min(begins)], ""
            return shown, True
        shown = self._held[: len(self._held) - max(self._matched, default=0)]
        self._held = self._held[len(shown) :]
        return shown, False

    def finish(self) -> str:
        """The text still held back, when no more text comes."""
        held, self._held = self._held, ""
        return held

    def _advance(self, index: int, text: str) -> int | None:
        """Process ``text``; the position in it where the sequence first ends, if it does."""
        sequence, table = self._stop[index]
        matched = self._matched[index]
        for position, character in enumerate(text, 1):
            while matched and sequence[matched] != character:
                matched = table[matched - 1]
            if sequence[matched] == character:
                matched += 1
                if matched == len(sequence):
                    return position
        self._matched[index] = matched
        return None


@lru_cache(maxsize=1024)
def borders(sequence: str) -> tuple[int, ...]:
    """For each prefix of ``sequence``, the length of its longest border: a shorter prefix that is also its suffix."""
    table = [0] * len(sequence)
    length = 0
    for position in range(1, len(sequence)):
        while length and sequence[position] != sequence[length]:
            length = table[length - 1]
        length += sequence[position] == sequence[length]
        table[position] = length
    return tuple(table)
