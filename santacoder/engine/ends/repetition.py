"""Ends a text that has begun to repeat itself, and cuts off what was repeated.

A repetition is a line with a letter or digit that occurs a third time in a row, not counting blank lines, or a run of
tokens that occurs a fourth time in a row. For a run without letters, such as the zeros of an array, it is the sixteenth
time. Text that equals what came before is held back until it differs. So only one copy has been shown when the text
ends, and nothing has to be removed.
"""

from __future__ import annotations

import numpy as np

_LINES = 3
_RUNS = 4
_PLAIN_RUNS = 16
_LONGEST = 64
"""Length of the longest run that is detected, in tokens."""
_GIVEN = 4096
"""Characters of the prompt's last line that are compared; every token copies them."""


class RepetitionEnd:
    """Passes text on as long as it does not repeat itself. ``cut`` is what was cut off. The text's first line continues
    the last line of ``prompt``."""

    def __init__(self, prompt: str = "") -> None:
        self.cut = ""
        self._text = ""
        self._shown = 0  # characters
        self._runs = _Runs()
        self._lines = _Lines(prompt.rpartition("\n")[2][-_GIVEN:])

    def feed(self, token_id: int, text: str) -> tuple[str, bool]:
        """The text that may be shown after ``token_id`` has added ``text``, and whether the text has ended."""
        begin = len(self._text)
        self._text += text
        by_runs, is_run = self._runs.add(token_id, begin, text)
        by_lines, is_line = self._lines.add(text, begin)
        if is_run or is_line:
            return self._end(min(by_runs if is_run else begin, by_lines if is_line else begin)), True
        return self._show(min(by_runs, by_lines)), False

    def finish(self, text: str = "") -> tuple[str, bool]:
        """The held-back text and ``text``, and whether the last line was one repetition too many."""
        begin = len(self._text)
        self._text += text
        self._lines.add(text, begin)
        by_lines, is_line = self._lines.add("\n", begin + len(text))
        if is_line:
            return self._end(by_lines), True
        return self._show(len(self._text)), False

    def _show(self, to: int) -> str:
        shown = self._text[self._shown : to]
        self._shown += len(shown)
        return shown

    def _end(self, at: int) -> str:
        shown = self._show(at)
        self.cut = self._text[self._shown :]
        return shown


class _Runs:
    """Runs of tokens: for each run length, how many of the last tokens equal the token that many positions before."""

    def __init__(self) -> None:
        self._ids = np.full(_LONGEST, -1, dtype=np.int64)  # the last ones, newest first
        self._n_same = np.zeros(_LONGEST, dtype=np.int64)  # for the lengths 1 and up
        self._begins: list[int] = []
        self._n_plain: list[int] = [0]  # cumulative number of tokens without a letter

    def add(self, token_id: int, begin: int, text: str) -> tuple[int, bool]:
        """Where the text begins to be as before, in characters, and whether it has been that for too long."""
        self._begins.append(begin)
        self._n_plain.append(self._n_plain[-1] + (not any(map(str.isalpha, text))))
        self._n_same = (self._n_same + 1) * (self._ids == token_id)
        self._ids[1:] = self._ids[:-1]
        self._ids[0] = token_id
        n_tokens = len(self._begins)
        longest = int(self._n_same.max())
        same_from = self._begins[n_tokens - longest] if longest else begin + len(text)
        for length in np.flatnonzero(self._n_same >= (_RUNS - 1) * _LENGTHS).tolist():
            length += 1
            is_plain = self._n_plain[-1] - self._n_plain[n_tokens - length] == length
            n_same = int(self._n_same[length - 1])
            if n_same >= ((_PLAIN_RUNS if is_plain else _RUNS) - 1) * length:
                return self._begins[n_tokens - n_same], True
        return same_from, False


_LENGTHS = np.arange(1, _LONGEST + 1)


class _Lines:
    """Lines that equal the line before."""

    def __init__(self, line: str) -> None:
        self._line = line  # so far
        self._begin = -len(line)
        self._n_given = len(line)  # characters of the line that are the prompt's
        self._last = ""
        self._n_same = 0
        self._second = 0  # where the second of the equal lines begins, with the line break before it

    @property
    def _break(self) -> int:
        """The position of the line break before the line."""
        return max(0, self._begin - 1)

    def add(self, text: str, begin: int) -> tuple[int, bool]:
        """Where the text begins to be as before, in characters, and whether it has been that for too long."""
        first, *others = text.split("\n")
        self._line += first
        for other in others:
            if self._is_over():
                return self._second, True
            begin += len(first) + 1
            self._line, self._begin, first = other, begin, other
        if self._n_same > 1:
            begins_alike = not self._line.strip() or self._last.startswith(self._line)
            if begins_alike:
                return self._second, False
        if self._last and self._last.startswith(self._line):
            return self._break, False
        return self._begin + len(self._line), False

    def _is_over(self) -> bool:
        """Record the complete line; whether it is one repetition too many."""
        is_own = bool(self._line[self._n_given :].strip())
        self._n_given = 0
        line = self._line.rstrip()
        if not is_own:  # blank, or the prompt's alone
            return False
        if line != self._last or not any(map(str.isalnum, line)):
            self._last, self._n_same = line, 1
            return False
        self._n_same += 1
        if self._n_same == 2:
            self._second = self._break
        return self._n_same >= _LINES
