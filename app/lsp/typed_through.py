"""Suggestions that the user is typing: while what is typed agrees with the last suggestion, the rest of it is the next
one. It needs no model, comes at once, and does not flicker. llama.vim does the same with its cache."""

from __future__ import annotations

from typing import Any

from app.lsp.backends import Answer

_PREFIX = "input_prefix"
# these follow from what is typed
_FOLLOWING = ("stop_at", "input_extra")


class LastAnswer:
    """The last answer for a document, and the body of its request."""

    def __init__(self) -> None:
        self._body: dict[str, Any] = {}
        self._answer = Answer([], "")

    def keep(self, body: dict[str, Any], answer: Answer) -> None:
        self._body, self._answer = body, answer

    def rest(self, body: dict[str, Any]) -> Answer | None:
        """The rest of the last answer, if ``body`` asks for what follows its beginning; otherwise None."""
        before, now = self._body.get(_PREFIX, ""), body[_PREFIX]
        if not self._answer.texts or not now.startswith(before) or _others(self._body) != _others(body):
            return None
        text, typed = self._answer.texts[0], now[len(before) :]
        rest = text[len(typed) :]
        return Answer([rest], self._answer.model) if text.startswith(typed) and rest.strip() else None


def _others(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != _PREFIX and name not in _FOLLOWING}
