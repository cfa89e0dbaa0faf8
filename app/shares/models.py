"""A share, its preview and its limits of size: the store's input and output."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.errors import ShareRefused
from app.generation.records import Comparison, Generation

Order = Literal["newest", "likes"]
Cursor = tuple[int, int]
"""Likes and id of the last share of a page; the next page begins after it."""

Piece = tuple[str, bool]
"""Text, and whether the model wrote it."""

_LINES_BEFORE = 6
_EXCERPT_LINES = 14
_CHARACTERS = 1_200
_TITLE_LENGTH = 80
_HEADING = re.compile(r"\s*(?:def|class|async def|function|export|public|private|protected|const)\b")

MAX_TITLE = 120
MAX_REASON = 500
MAX_SEARCH = 200
MAX_CODE = 100_000
MAX_STORED = 4 * 1024 * 1024
"""Bytes of a share as JSON, before compression: 16 candidates of 512 tokens with five alternatives each fit."""


@dataclass(frozen=True)
class Share:
    """A share as the gallery shows it. ``slug`` is the short id of its permalink.

    For a comparison, model and revision are those of its first column.
    """

    slug: str
    title: str
    created_at: datetime
    pane: str
    language: str
    repo_id: str
    revision: str
    sha: str
    likes: int
    hidden: bool
    excerpt: list[Piece]

    @property
    def branch(self) -> str:
        return f"{self.repo_id}@{self.revision}"


@dataclass(frozen=True)
class OpenedShare:
    """The whole share: the generation, the candidate that was shown, and its attribution as JSON.

    For a comparison, ``generation`` is the first one and ``compared`` has all of them.
    """

    share: Share
    generation: Generation
    candidate: int
    attribution: str | None
    compared: Comparison | None = None


@dataclass(frozen=True)
class Query:
    """A query of the gallery. Empty fields do not filter; ``branch`` is ``repo_id@revision``."""

    text: str = ""
    language: str = ""
    branch: str = ""
    order: Order = "newest"
    after: Cursor | None = None
    limit: int = 12


@dataclass(frozen=True)
class Page:
    """Shares in the requested order. ``next`` is None on the last page."""

    shares: list[Share]
    next: Cursor | None


@dataclass(frozen=True)
class Receipt:
    """The author's receipt: the permalink's id, and the secret of the deletion link. Only its digest is stored, so it
    cannot be shown again."""

    slug: str
    deletion_token: str


@dataclass(frozen=True)
class Report:
    """Why a visitor reported a share."""

    share: Share
    reason: str
    created_at: datetime


def excerpt(generation: Generation, candidate: int) -> list[Piece]:
    """About fourteen lines of the code, from a few lines before the first generated text."""
    code, spans = generation.code(candidate), generation.spans(candidate)
    begin = spans[0][0]
    for _ in range(_LINES_BEFORE + 1):
        begin = code.rfind("\n", 0, max(begin, 0))
    begin += 1
    end = begin
    for _ in range(_EXCERPT_LINES):
        end = code.find("\n", end) + 1 or len(code)
    end = min(len(code[:end].rstrip()), begin + _CHARACTERS)
    pieces, position = [], begin
    for left, right in spans:
        for stop, written in ((left, False), (right, True)):
            stop = min(max(stop, position), end)
            pieces.append((code[position:stop], written))
            position = stop
    pieces.append((code[position:end], False))
    return [(text, written) for text, written in pieces if text]


def suggested_title(generation: Generation) -> str:
    """The last definition before the first generated text, or the first line of the code."""
    lines = [line for line in generation.parts[0].splitlines() if line.strip()] or ["Untitled"]
    heading = next((line for line in reversed(lines) if _HEADING.match(line)), lines[0])
    return heading.strip().rstrip("{:").rstrip()[:_TITLE_LENGTH]


def excerpt_to_json(pieces: list[Piece]) -> str:
    return json.dumps(pieces)


def excerpt_from_json(text: str) -> list[Piece]:
    return [(piece, written) for piece, written in json.loads(text)]


def check_size(title: str, generation: Generation, stored: bytes) -> None:
    """
    Raises:
        ShareRefused: the share is too large.
    """
    n_characters = max(len(generation.code(index)) for index in range(len(generation.candidates)))
    if len(title) > MAX_TITLE:
        raise ShareRefused(f"The title has {len(title):,} characters; {MAX_TITLE} are allowed.")
    if n_characters > MAX_CODE:
        raise ShareRefused(f"The code has {n_characters:,} characters; at most {MAX_CODE:,} can be shared.")
    if len(stored) > MAX_STORED:
        raise ShareRefused(
            f"With all probabilities this is {len(stored):,} bytes; at most {MAX_STORED:,} can be shared. "
            "Share fewer candidates."
        )
