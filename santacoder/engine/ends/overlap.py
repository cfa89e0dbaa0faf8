"""Cuts the end of a middle that repeats the beginning of the suffix."""

from __future__ import annotations

from santacoder.engine.stop import borders

_CHARACTERS = 2000
"""Characters of the suffix that are compared at most."""
_LINES = 2
"""Repeated lines after which the middle ends at once; after fewer, more of it could still follow."""
_PAIRS = {")": "(", "]": "[", "}": "{"}
_QUOTES = "\"'`"


class SuffixOverlap:
    """Holds back text that equals the beginning of ``suffix``, and drops it if the middle ends with it: at least the
    rest of the line that the gap is in, or else a line that is not blank. ``cut`` is what was dropped.

    Text that closes a bracket or quote of the middle is not a repetition: before another bracket, ``f(x)`` keeps its
    own, but ``x)`` does not.
    """

    def __init__(self, suffix: str) -> None:
        self.cut = ""
        self._suffix = suffix[:_CHARACTERS]
        self._borders = borders(self._suffix)
        self._n_same = 0  # characters that end the text and begin the suffix
        self._least = _least(self._suffix, n_lines=1)
        self._enough = _least(self._suffix, n_lines=_LINES)
        self._middle = _Balance()
        self._held = ""

    def feed(self, text: str) -> tuple[str, bool]:
        """Text that is safe to show, and whether enough of the suffix has been repeated."""
        shown = ""
        for character in text:
            self._held += character
            self._advance(character)
            if self._enough and self._n_same >= self._enough:
                shown += self._release()
                if self._drop():
                    return shown, True
        return shown + self._release(), False

    def finish(self) -> str:
        """The held-back text that is not a repetition."""
        if self._least and self._n_same >= self._least and self._drop():
            return ""
        held, self._held = self._held, ""
        return held

    def _advance(self, character: str) -> None:
        """The automaton of Knuth, Morris and Pratt (1977)."""
        n_same = self._n_same
        while n_same and (n_same == len(self._suffix) or self._suffix[n_same] != character):
            n_same = self._borders[n_same - 1]
        self._n_same = n_same + 1 if self._suffix and self._suffix[n_same] == character else 0

    def _release(self) -> str:
        count = len(self._held) - self._n_same
        shown, self._held = self._held[:count], self._held[count:]
        self._middle.add(shown)
        return shown

    def _drop(self) -> bool:
        """Cut the held-back text, unless it closes something that the middle has opened."""
        if self._middle.is_closed_by(self._held):
            return False
        self.cut, self._held = self._held, ""
        return True


class _Balance:
    """The open brackets and quotes of a text."""

    def __init__(self) -> None:
        self._open: list[str] = []

    def add(self, text: str) -> None:
        for character in text:
            self._take(character)

    def is_closed_by(self, text: str) -> bool:
        """Whether ``text`` closes something that is open."""
        n_open = len(self._open)
        after = _Balance()
        after._open = list(self._open)
        for character in text:
            after._take(character)
            if len(after._open) < n_open:
                return True
        return False

    def _take(self, character: str) -> None:
        top = self._open[-1] if self._open else ""
        if top in _QUOTES and top:
            if character == top:
                self._open.pop()
        elif character in _QUOTES or character in "([{":
            self._open.append(character)
        elif character in _PAIRS and top == _PAIRS[character]:
            self._open.pop()


def repeats_line_before(prefix: str, middle: str) -> bool:
    """Whether ``middle`` repeats the last line of ``prefix``."""
    lines = prefix.split("\n")
    before = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return bool(before) and middle.strip() == before


def _least(suffix: str, n_lines: int) -> int:
    """The length of ``suffix`` up to the end of ``n_lines`` lines that are not blank; 0 if there are fewer."""
    end = 0
    while end < len(suffix):
        line_end = suffix.find("\n", end)
        line_end = len(suffix) if line_end < 0 else line_end
        n_lines -= bool(suffix[end:line_end].strip())
        if not n_lines:
            return line_end
        end = line_end + 1
    return 0
