"""From the events of a request to its text and tokens: what each token added to the text, and where.

Tokens are decoded in their place, because a token of a byte-level vocabulary may be a part of a character.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from santacoder.engine.events import Event, Finished, PromptToken, TokenEvent
from santacoder.engine.line_ends import CrlfWriter
from santacoder.tokenizer import Tokenizer


class Alternative(NamedTuple):
    """A likely token in the place of another. ``text`` is what it would have added to the text there; nothing, if it is
    an unfinished character. ``logprob`` is in nats."""

    id: int
    text: str
    logprob: float


class Token(NamedTuple):
    """A token of a text, and the likeliest in its place.

    ``text`` is what it added, and begins at ``offset``, counted in characters. A character that takes several tokens is
    added by the last of them; all of them have its offset. The text of an end mark is its name, which is no part
    of the whole text. A prompt's first token has no ``logprob``.
    """

    id: int
    text: str
    logprob: float | None
    top: tuple[Alternative, ...]
    offset: int


class Accumulator:
    """The ``text`` of one request as far as it has come, and its ``tokens``.

    A token is among them once its first character has been shown, so that neither a token of a stop sequence is nor one
    that is held back because it may become one. An end mark comes last. Tokens that only spell the end of the prompt
    again are among them ``with_typed``, and have no text.
    """

    def __init__(
        self, tokenizer: Tokenizer, after: Iterable[int] = (), *, crlf: bool = False, with_typed: bool = False
    ) -> None:
        """``after`` are the last ids of a prompt that is not echoed. With ``crlf``, lines end in CRLF."""
        self._with_typed = with_typed
        self.text = ""
        self.tokens: list[Token] = []
        self.n_typed = 0  # of the tokens
        self._tokenizer = tokenizer
        self._decoder = tokenizer.stream_decoder(after)
        # what is shown and what is decoded are the same characters, but come in other pieces
        self._shown = CrlfWriter() if crlf else None
        self._decoded = CrlfWriter() if crlf else None
        self._pending: list[Token] = []
        self._end_mark: Token | None = None
        self._offset = 0

    def add(self, event: Event) -> tuple[Token, ...]:
        """Take note of ``event``; the tokens that it made part of the text."""
        self.text += self._shown.feed(event.text) if self._shown else event.text
        if isinstance(event, Finished):
            self._end_character()
        elif isinstance(event, TokenEvent) and event.id in self._tokenizer.special_ids:
            self._end_character()
            name = self._tokenizer.decode([event.id])
            self._end_mark = Token(event.id, name, event.logprob, self._alternatives(event), self._offset)
        elif self.is_typed(event):
            typed = Token(event.id, "", event.logprob, self._alternatives(event), 0)
            reached = (typed,) * self._with_typed
            self.tokens += reached
            self.n_typed += len(reached)
            return reached
        else:
            top = self._alternatives(event)
            text = self._decoder.feed(event.id, _n_typed(event))
            text = self._decoded.feed(text) if self._decoded else text
            self._pending.append(Token(event.id, text, event.logprob, top, self._offset))
            self._offset += len(text)
        reached = self._reached(finished=isinstance(event, Finished))
        self.tokens += reached
        return reached

    @property
    def behind(self) -> str:
        """What was written behind ``text``: the stop sequence that ended it, and what came with its last token."""
        written = "".join(token.text for token in (*self.tokens, *self._pending) if token is not self._end_mark)
        return written[len(self.text) :]

    def is_typed(self, event: PromptToken | TokenEvent) -> bool:
        """Whether the token only spells the end of the prompt again."""
        return 0 < len(self._tokenizer.decode_bytes([event.id])) <= _n_typed(event)

    def _reached(self, *, finished: bool) -> tuple[Token, ...]:
        # what is left of an unfinished character is added to the last token
        complete = self._pending[:-1] if self._decoder.unfinished else self._pending
        n_reached = next(
            (index for index, token in enumerate(complete) if token.offset >= len(self.text)), len(complete)
        )
        reached, self._pending = self._pending[:n_reached], self._pending[n_reached:]
        if finished and self._end_mark is not None and not self._pending:
            reached.append(self._end_mark)
        return tuple(reached)

    def _end_character(self) -> None:
        """Have the last token add what is left of an unfinished character."""
        left = self._decoder.finish()
        if left and self._pending:
            last = self._pending[-1]
            self._pending[-1] = last._replace(text=last.text + left)
            self._offset += len(left)

    def _alternatives(self, event: PromptToken | TokenEvent) -> tuple[Alternative, ...]:
        special_ids, decode = self._tokenizer.special_ids, self._tokenizer.decode
        return tuple(
            Alternative(id_, decode([id_]) if id_ in special_ids else self._peek(id_, _n_typed(event)), logprob)
            for id_, logprob in event.top
        )

    def _peek(self, token_id: int, skip: int) -> str:
        text = self._decoder.peek(token_id, skip)
        return self._decoded.peek(text) if self._decoded else text


def _n_typed(event: PromptToken | TokenEvent) -> int:
    return event.n_typed if isinstance(event, TokenEvent) else 0
