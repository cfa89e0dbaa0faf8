"""A text that is generated for a client: the engine's events in, pieces of text out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from app.errors import ApiError
from santacoder.engine.accumulator import Accumulator, Alternative, Token
from santacoder.engine.events import Event, Finished, FinishReason, TokenEvent
from santacoder.engine.stream import Stream
from santacoder.tokenizer import Tokenizer


class Text:
    """A text in progress."""

    def __init__(self, index: int, stream: Stream, tokenizer: Tokenizer) -> None:
        self.index = index
        self.stream = stream
        self.reason: FinishReason | None = None
        self.ids: list[int] = []
        """All generated token ids, including those of a stop sequence."""
        self.total_logprob = 0.0
        self.last_logprob = 0.0
        self._is_cut = False
        self.first_at = self.last_at = time.perf_counter()
        self._special_ids = tokenizer.special_ids
        self._accumulator = Accumulator(tokenizer, stream.prompt_end, crlf=stream.crlf)

    @property
    def text(self) -> str:
        return self._accumulator.text

    @property
    def behind(self) -> str:
        """The text generated after ``text``, beginning with the stop sequence that ended it."""
        return self._accumulator.behind

    @property
    def n_echoed(self) -> int:
        """The number of prompt tokens at the beginning of ``tokens``."""
        return self.stream.n_prompt if self.stream.echo else 0

    @property
    def n_written(self) -> int:
        return len(self.ids)

    @property
    def last_id(self) -> int:
        return self.ids[-1] if self.ids else -1

    @property
    def tokens(self) -> list[Token]:
        return self._accumulator.tokens

    def add(self, event: Event, at: float) -> Piece:
        """Process an event that arrived at the time ``at``.

        Raises:
            ApiError: the model could not be run, or was unloaded.
        """
        self.last_at = at
        if isinstance(event, Finished):
            if event.reason == "error":
                raise ApiError(500, event.message)
            if event.reason == "cancelled" and not self._is_cut:
                raise ApiError(503, "The text was ended because the server is being stopped; try again in a moment.")
            self.reason = "length" if self._is_cut else event.reason
        elif isinstance(event, TokenEvent) and not self._accumulator.is_respelled(event):
            self._count(event)
        n_shown = len(self.text)
        tokens = self._accumulator.add(event)
        return Piece(self.index, self.text[n_shown:], tokens, self.reason)

    def cut(self) -> None:
        """End the text at its current length, like a limit."""
        self._is_cut = True
        self.stream.cancel()

    @property
    def end(self) -> Literal["end", "word", "limit"]:
        """What ended the text: the model, a stop sequence, or a limit."""
        if self.reason != "stop":
            return "limit"
        return "end" if self.last_id in self._special_ids else "word"

    def _count(self, event: TokenEvent) -> None:
        self.first_at = self.first_at if self.n_written else self.last_at
        self.ids.append(event.id)
        self.total_logprob += event.logprob
        self.last_logprob = event.logprob


@dataclass(slots=True)
class Piece:
    """A new part of the text number ``index``; ``reason`` is set in the last one."""

    index: int
    text: str
    tokens: tuple[Token, ...]
    reason: FinishReason | None


def bytes_of(token: Token | Alternative, tokenizer: Tokenizer) -> bytes:
    """The bytes of ``token``, without those at its beginning that are the prompt's because of token healing."""
    whole, added = tokenizer.decode_bytes([token.id]), token.text.encode("utf-8")
    return added if added and whole.endswith(added) else whole


def by_token(text: Text, piece: Piece) -> Iterator[tuple[Token | None, str]]:
    """The text that each token of ``piece``, the latest piece of ``text``, shows.

    Text held back from an earlier token comes with the next token, or with none. A special token shows nothing.
    """
    end = len(text.text)
    start = end - len(piece.text)
    if not piece.tokens:
        if piece.text:
            yield None, piece.text
        return
    nexts = [min(token.offset, end) for token in piece.tokens[1:]] + [end]
    for token, until in zip(piece.tokens, nexts, strict=True):
        yield token, text.text[start:until]
        start = until
