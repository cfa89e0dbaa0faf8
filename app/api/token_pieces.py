"""Splits pieces of a text by token, for protocols that send one token at a time."""

from __future__ import annotations

from collections.abc import Iterator

from app.api.running import Piece, Text
from santacoder.engine.accumulator import Token


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
