"""From the events of a request to its text and tokens: what each token added to the text, and where.

Tokens are decoded in context, because a token of a byte-level vocabulary may be a part of a character.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from santacoder.engine.events import Event, Finished, PromptToken, TokenEvent
from santacoder.engine.line_ends import CrlfWriter
from santacoder.tokenizer import Tokenizer


class Alternative(NamedTuple):
    """A likely token at the position of another. ``text`` is what it would have added to the text there, or nothing if
    it is an unfinished character. ``logprob`` is in nats."""

    id: int
    text: str
    logprob: float


class Token(NamedTuple):
    """A token of a text, and the most likely tokens at its position.

    ``text`` is what it added, and begins at ``offset``, counted in characters. If a character takes several tokens, the
    last of them adds it, and all of them have its offset. For a special token that ends the text, ``text`` is the
    token's name, which is not part of the whole text. A prompt's first token has no ``logprob``.
    """

    id: int
    text: str
    logprob: float | None
    top: tuple[Alternative, ...]
    offset: int


class Accumulator:
    """The ``text`` of one request so far, and its ``tokens``.

    A token is included once its first character has been shown. So tokens of a stop sequence are excluded, and so are
    tokens held back because they may become one. A special token that ends the text comes last. Tokens that only spell
    the end of the prompt again are included ``with_respelled``, and have no text.
    """

    def __init__(
        self, tokenizer: Tokenizer, after: Iterable[int] = (), *, crlf: bool = False, with_respelled: bool = False
    ) -> None:
        """``after`` are the last ids of a prompt that is not echoed. With ``crlf``, lines end in CRLF."""
        self._with_respelled = with_respelled
        self.text = ""
        self.tokens: list[Token] = []
        self.n_respelled = 0  # how many of the tokens only spell the prompt's end again
        self._tokenizer = tokenizer
        self._decoder = tokenizer.stream_decoder(after)
        # shown and decoded text have the same characters, but arrive in different pieces
        self._shown = CrlfWriter() if crlf else None
        self._decoded = CrlfWriter() if crlf else None
        self._pending: list[Token] = []
        self._end_mark: Token | None = None
        self._offset = 0

    def add(self, event: Event) -> tuple[Token, ...]:
        """Process ``event``; the tokens that it added to the text."""
        self.text += self._shown.feed(event.text) if self._shown else event.text
        if isinstance(event, Finished):
            self._end_character()
        elif isinstance(event, TokenEvent) and event.id in self._tokenizer.special_ids:
            self._end_character()
            name = self._tokenizer.decode([event.id])
            self._end_mark = Token(event.id, name, event.logprob, self._alternatives(event), self._offset)
        elif self.is_respelled(event):
            respelled = Token(event.id, "", event.logprob, self._alternatives(event), 0)
            reached = (respelled,) * self._with_respelled
            self.tokens += reached
            self.n_respelled += len(reached)
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
        """What was generated after ``text``: the stop sequence that ended it, and the rest of its last token."""
        written = "".join(token.text for token in (*self.tokens, *self._pending) if token is not self._end_mark)
        return written[len(self.text) :]

    def is_respelled(self, event: PromptToken | TokenEvent) -> bool:
        """Whether the token only spells the end of the prompt again."""
        n_typed = _n_typed(event)
        return n_typed > 0 and 0 < len(self._tokenizer.decode_bytes([event.id])) <= n_typed

    def _reached(self, *, finished: bool) -> tuple[Token, ...]:
        if not self._pending and not finished:
            return ()
        # the rest of an unfinished character is added to the last token
        complete = self._pending[:-1] if self._decoder.unfinished else self._pending
        n_reached = next(
            (index for index, token in enumerate(complete) if token.offset >= len(self.text)), len(complete)
        )
        reached, self._pending = self._pending[:n_reached], self._pending[n_reached:]
        if finished and self._end_mark is not None and not self._pending:
            reached.append(self._end_mark)
        return tuple(reached)

    def _end_character(self) -> None:
        """Add the rest of an unfinished character to the last token."""
        left = self._decoder.finish()
        if left and self._pending:
            last = self._pending[-1]
            self._pending[-1] = last._replace(text=last.text + left)
            self._offset += len(left)

    def _alternatives(self, event: PromptToken | TokenEvent) -> tuple[Alternative, ...]:
        if not event.top:
            return ()
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
