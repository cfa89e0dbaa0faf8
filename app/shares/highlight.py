"""Syntax highlighting: as runs for the preview image, and as HTML with escaped text."""

from __future__ import annotations

import html
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Keyword, Name, Number, String, _TokenType

from app.shares.models import Piece
from app.shares.text_safety import reveal

_KINDS = [
    (Comment, "comment"),
    (String, "string"),
    (Number, "number"),
    (Keyword, "keyword"),
    (Name.Function, "name"),
    (Name.Class, "name"),
    (Name.Decorator, "name"),
]


class Run(NamedTuple):
    """Text of one ``kind``, which is empty for plain text; ``written`` says whether the model wrote it."""

    text: str
    kind: str
    written: bool


def runs(pieces: list[Piece], language: str) -> list[Run]:
    """``pieces`` as maximal runs."""
    characters: list[tuple[str, str, bool]] = []
    written = [mark for text, mark in pieces for _ in reveal(text)]
    code = "".join(reveal(text) for text, _ in pieces)
    for start, token_type, value in _lexer(language).get_tokens_unprocessed(code):
        kind = _kind(token_type)
        characters += [(character, kind, written[start + index]) for index, character in enumerate(value)]
    return [
        Run("".join(character for character, *_ in group), kind, mark)
        for (kind, mark), group in groupby(characters, lambda character: character[1:])
    ]


def highlighted(pieces: list[Piece], language: str) -> str:
    """The code as HTML: ``<mark>`` around generated text, with ``<span class="code-keyword">`` and so on inside."""
    return "".join(
        f"<mark>{inner}</mark>" if written else inner for written, inner in _by_author(runs(pieces, language))
    )


def _by_author(all_runs: list[Run]) -> Iterator[tuple[bool, str]]:
    for written, group in groupby(all_runs, lambda run: run.written):
        yield written, "".join(_span(run) for run in group)


def _span(run: Run) -> str:
    text = html.escape(run.text)
    return f'<span class="code-{run.kind}">{text}</span>' if run.kind else text


def _kind(token_type: _TokenType) -> str:
    return next((kind for parent, kind in _KINDS if token_type in parent), "")


@lru_cache
def _lexer(language: str) -> Lexer:
    return get_lexer_by_name(language)
