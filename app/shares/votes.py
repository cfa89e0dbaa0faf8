"""Votes of blind comparisons, and the win rates of revisions that result from them."""

from __future__ import annotations

import hashlib
import json
import time

from sqlalchemy import func, insert, select

from app.errors import ShareRefused
from app.generation.records import Comparison
from app.shares.database import VOTES, Database
from app.shares.rates import Rate


class Votes:
    """Votes in a database. Every method raises StoreUnavailable if the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, comparison: Comparison, better: int | None, visitor: str) -> bool:
        """Count a vote for the generation number ``better``, or for none (a tie).

        A visitor has one vote for a comparison: the first one counts, and the result says whether this is it.

        Raises:
            ShareRefused: there is no visitor, or nothing to choose from.
        """
        if not visitor:
            raise ShareRefused("This browser keeps no cookie of this page, so the vote was not counted.")
        n_others = len(comparison.generations) - 1
        if n_others < 1:
            raise ShareRefused("A vote needs at least two texts.")
        vote: dict[str, str | float] = {
            "visitor": hashlib.sha256(visitor.encode()).hexdigest(),
            "comparison": _digest(comparison),
            "created_at": int(time.time()),
        }
        # one revision may have been chosen twice
        rows: dict[tuple[str, str], dict[str, str | float]] = {}
        for index, each in enumerate(comparison.generations):
            points = n_others / 2 if better is None else n_others if index == better else (n_others - 1) / 2
            name = {"repo_id": each.repo_id, "revision": each.revision}
            known = rows.get((each.repo_id, each.revision))
            if known is None or float(known["points"]) < points:
                rows[each.repo_id, each.revision] = {**vote, **name, "points": points, "games": n_others}
        with self._database.writing() as connection:
            this = (VOTES.c.visitor == vote["visitor"]) & (VOTES.c.comparison == vote["comparison"])
            if connection.execute(select(VOTES.c.id).where(this).limit(1)).one_or_none() is not None:
                return False
            connection.execute(insert(VOTES), list(rows.values()))
            return True

    def win_rates(self, repo_id: str) -> dict[str, Rate]:
        """How often a model's revisions that have votes were preferred, in pairs with another; a tie is half a win."""
        query = (
            select(VOTES.c.revision, func.sum(VOTES.c.points).label("points"), func.sum(VOTES.c.games).label("games"))
            .where(VOTES.c.repo_id == repo_id)
            .group_by(VOTES.c.revision)
        )
        with self._database.reading() as connection:
            return {row.revision: Rate(float(row.points), int(row.games)) for row in connection.execute(query)}


def _digest(comparison: Comparison) -> str:
    """The same for the same prompt and texts, in whatever order the revisions were chosen."""
    texts = sorted(
        [each.repo_id, each.sha, *(completion.text for completion in each.candidates[0].completions)]
        for each in comparison.generations
    )
    content = json.dumps([comparison.first.parts, texts])
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
