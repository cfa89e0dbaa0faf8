"""The latest texts of each session, from which its further texts are drafted: while somebody types, most of a
suggestion has been written for the keystroke before."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

CONTEXT = 4
"""Tokens that a text must have in common with an earlier one. It is kept with as many tokens of its prompt."""
MOST_TOKENS = 8192
"""Tokens kept of a session's texts; with their occurrences, they take some 2 MB."""
MOST_SESSIONS = 64


class WrittenTexts:
    """What has been written in one session, and where the latest occurrence of each :data:`CONTEXT` tokens is."""

    def __init__(self) -> None:
        self._texts: deque[list[int]] = deque()
        self._n_tokens = 0
        self._after: dict[tuple[int, ...], tuple[list[int], int]] = {}

    def add(self, text: Sequence[int]) -> None:
        """Keep the end of ``text``, and drop the oldest texts for which there is no room."""
        kept = list(text[-MOST_TOKENS:])
        self._texts.append(kept)
        self._n_tokens += len(kept)
        for end in range(CONTEXT, len(kept)):  # nothing follows the last tokens
            self._after[tuple(kept[end - CONTEXT : end])] = kept, end
        while self._n_tokens > MOST_TOKENS:
            self._drop(self._texts.popleft())

    def after(self, ids: Sequence[int]) -> tuple[list[int], int] | None:
        """A text, and the index in it of what follows the last tokens of ``ids``."""
        return self._after.get(tuple(ids[-CONTEXT:]))

    def _drop(self, text: list[int]) -> None:
        self._n_tokens -= len(text)
        for end in range(CONTEXT, len(text)):
            context = tuple(text[end - CONTEXT : end])
            known = self._after.get(context)
            if known is not None and known[0] is text:
                del self._after[context]


class TextsBySession:
    """The :class:`WrittenTexts` of the sessions that have written last. Not thread-safe."""

    def __init__(self) -> None:
        self._sessions: dict[str, WrittenTexts] = {}  # the one that has written last at the end

    def of(self, session: str) -> WrittenTexts:
        texts = self._sessions.pop(session, None) or WrittenTexts()
        self._sessions[session] = texts
        if len(self._sessions) > MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return texts
