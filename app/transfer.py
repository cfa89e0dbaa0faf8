"""How a download goes, for the page and the terminal; and what a start prints while it opens its model."""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import TextIO

from app.model_opening import Stage

_SECONDS = 10.0
"""The time over which the rate is measured."""


class Transfer:
    """The rate of a download, from the bytes that are here now and were a few seconds ago."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def described(self, here: int, total: int, now: float | None = None) -> str:
        """What is going on, with amounts, rate and time left: ``Downloading (2.1 of 4.6 GB, 31 MB/s, 1:20 left)``."""
        now = time.monotonic() if now is None else now
        self._seen.append((now, here))
        while now - self._seen[0][0] > _SECONDS and len(self._seen) > 2:
            self._seen.popleft()
        amount = f"{here / 1e9:.1f} of {total / 1e9:.1f} GB"
        began, before = self._seen[0]
        if now - began < 1 or here <= before:
            return f"Downloading ({amount})"
        rate = (here - before) / (now - began)
        minutes, seconds = divmod(round((total - here) / rate), 60)
        return f"Downloading ({amount}, {rate / 1e6:,.1f} MB/s, {minutes}:{seconds:02} left)"


class TerminalStages:
    """Prints the stages of opening a model: in one line on a terminal, otherwise at each tenth."""

    def __init__(self, name: str, output: TextIO | None = None) -> None:
        self._name = name
        self._output = output or sys.stderr
        self._is_terminal = self._output.isatty()
        self._shown = ("", -1)
        self._width = 0

    def report(self, stage: Stage) -> None:
        kind, steps = stage.doing.partition(" (")[0], 100 if self._is_terminal else 10
        step = int(stage.share * steps)
        if (kind, step) == self._shown or (kind == "Loading" and not self._is_terminal):
            return
        self._shown = (kind, step)
        line = f"{stage.doing} {self._name}: {stage.share:.0%}"
        if self._is_terminal:
            print(f"\r{line:{self._width}}", end="", file=self._output, flush=True)
            self._width = len(line)
        else:
            print(line, file=self._output, flush=True)

    def end(self) -> None:
        """Clear the line on a terminal."""
        if self._is_terminal and self._width:
            print(f"\r{'':{self._width}}\r", end="", file=self._output, flush=True)
