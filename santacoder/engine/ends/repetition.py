"""Ends a text that has begun to repeat itself, and cuts off what was repeated.

A line with a letter or a digit in it that comes a third time in a row, blank lines aside; or a run of tokens that comes
a fourth time in a row. Where a run has no letter in it, as the zeros of an array, it is the sixteenth time. What is the
same as before is held back until it differs, so that one copy has been shown when the text ends, and nothing is taken
back.
"""

from __future__ import annotations

import numpy as np

_LINES = 3
_RUNS = 4
_PLAIN_RUNS = 16
_LONGEST = 64
"""Tokens of the longest run that is looked for."""


class RepetitionEnd:
    """Passes text on as long as it does not repeat itself. ``cut`` is what was cut off. The first line of the text is
    the one that the ``prompt`` ends in."""

    def __init__(self, prompt: str = "") -> None:
        self.cut = ""
        self._text = ""
        self._shown = 0  # characters
        self._runs = _Runs()
        self._lines = _Lines(prompt.rpartition("\n")[2])

    def feed(self, token_id: int, text: str) -> tuple[str, bool]:
        """What may be shown once ``token_id`` has added ``text``, and whether the text has ended."""
        begin = len(self._text)
        self._text += text
        by_runs, is_run = self._runs.add(token_id, begin, text)
        by_lines, is_line = self._lines.add(text, begin)
        if is_run or is_line:
            return self._end(min(by_runs if is_run else begin, by_lines if is_line else begin)), True
        return self._show(min(by_runs, by_lines)), False

    def finish(self, text: str = "") -> tuple[str, bool]:
        """What was held back, and ``text``; and whether the last line was one too many."""
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
    """Runs of tokens, by their length: how many of the last tokens are the same as those that many tokens before."""

    def __init__(self) -> None:
        self._ids = np.full(_LONGEST, -1, dtype=np.int64)  # the last ones, newest first
        self._n_same = np.zeros(_LONGEST, dtype=np.int64)  # for the lengths 1 and up
        self._begins: list[int] = []
        self._n_plain: list[int] = [0]  # tokens without a letter, up to each

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
    """Lines that are the same as the one before."""

    def __init__(self, line: str) -> None:
        self._line = line  # as far as it has come
        self._begin = -len(line)
        self._n_given = len(line)  # characters of the line that are the prompt's
        self._last = ""
        self._n_same = 0
        self._second = 0  # where the second of the same lines begins, with the line break before it

    @property
    def _break(self) -> int:
        """Where the line break before the line is."""
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
        """Take note of the line, which is complete."""
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
