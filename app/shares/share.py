"""Data types of the store's input and output."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.comparison import Comparison
from app.generation import Generation
from app.shares.excerpt import Piece

Order = Literal["newest", "likes"]
Cursor = tuple[int, int]
"""Likes and id of the last share of a page; the next page begins after it."""


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
