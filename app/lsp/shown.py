"""What became of the suggestions that an editor was given, as far as its messages tell.

Editors say only that a suggestion was accepted, by the command that came with it. While the user types what a
suggestion says, each further one mostly says the same: they count as one. A different one takes the place of the last,
which then counts as dismissed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

ACCEPTED = "santacoder.accepted"
"""The command that the editor runs when a suggestion has been accepted."""


@dataclass(frozen=True)
class Shown:
    """A suggestion in ``line``, which would then begin with ``written``; ``model`` wrote it."""

    line: int
    written: str
    model: str
    language: str | None


class ShownSuggestions:
    """The suggestion in view of each document; ``report`` is called with what becomes of it, as /v1/feedback has it."""

    def __init__(self, report: Callable[[dict[str, Any]], object]) -> None:
        self._report = report
        self._shown: dict[str, Shown] = {}
        self.editor = ""

    def show(self, uri: str, shown: Shown | None) -> None:
        """``shown`` is now in view, or nothing."""
        if self._shown.get(uri) == shown:
            return
        self.leave(uri)
        if shown is not None:
            self._shown[uri] = shown
            self._tell("shown", shown)

    def accept(self, uri: str) -> None:
        """The suggestion in view was accepted."""
        self._end(uri, "accepted")

    def leave(self, uri: str) -> None:
        """The suggestion in view is gone, and was not accepted."""
        self._end(uri, "dismissed")

    def _end(self, uri: str, event: str) -> None:
        shown = self._shown.pop(uri, None)
        if shown is not None:
            self._tell(event, shown)

    def _tell(self, event: str, shown: Shown) -> None:
        self._report({"event": event, "model": shown.model, "language": shown.language, "editor": self.editor})
