"""Pieces of a text divided into what each token added, for protocols that send a token at a time."""

from __future__ import annotations

from collections.abc import Iterator

from app.api.running import Piece, Text
from santacoder.engine.accumulator import Token


def by_token(text: Text, piece: Piece) -> Iterator[tuple[Token | None, str]]:
    """What ``piece``, the last that came to ``text``, shows of each of its tokens.

    What was held back of a token before comes with the next one, or with none. An end mark shows nothing.
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
