"""The store of shares and its operations."""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import string
import time
import zlib
from collections.abc import Collection, Sequence
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import Row, delete, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from app.errors import ShareMissing, ShareRefused, StoreUnavailable
from app.generation.records import Comparison, Generation
from app.shares.database import LIKES, REPORTS, SHARES, Database
from app.shares.models import (
    MAX_REASON,
    OpenedShare,
    Page,
    Query,
    Receipt,
    Report,
    Share,
    check_size,
    excerpt,
    excerpt_from_json,
    excerpt_to_json,
    suggested_title,
)
from app.shares.search import facet, gallery_queries, words
from app.shares.signals import Signals
from app.shares.votes import Votes
from santacoder.errors import UserError

_ALPHABET = string.ascii_letters + string.digits
_COMPARE = "compare"  # as the pane of a comparison
_SLUG_LENGTH = 8  # 62^8: with 100,000 shares, one address in two billion is one
_SECONDS_WELL = 1.0
_LISTED = [SHARES.c[name] for name in (
    "id", "slug", "created_at", "hidden", "likes", "title", "pane", "language", "repo_id", "revision", "sha", "excerpt"
)]  # fmt: skip


class ShareStore:
    """Shares in a database, and next to them ``votes`` and ``signals``. Every method raises StoreUnavailable if the
    database does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.votes = Votes(database)
        self.signals = Signals(database)
        self._well_at = -math.inf

    def add(
        self, shared: Generation | Comparison, title: str, candidate: int = 0, attribution: str | None = None
    ) -> Receipt:
        """Store a generation or comparison; it is on disk once this has returned.

        Args:
            shared: what to store.
            title: the title; if empty, one is suggested.
            candidate: the candidate that is shown.
            attribution: JSON of the spans found in the training files.

        Raises:
            ShareRefused: it is larger than the limit, or nothing was generated.
        """
        values, receipt = share_values(shared, title, candidate, attribution)
        with self._database.writing() as connection:
            connection.execute(insert(SHARES).values(values))
        return receipt

    def add_shipped(self, shipped: Sequence[tuple[str, Generation]]) -> None:
        """Store the shares (title, generation) that come with the repository, unless they are there already; one that a
        moderator has hidden stays hidden.
        """
        rows = []
        for title, generation in reversed(shipped):  # the last one that is stored is the newest
            values, _ = share_values(generation, title, 0, None)
            rows.append({**values, "slug": _digest(f"{title}\0{generation.to_json()}")[:_SLUG_LENGTH]})
        if not rows:
            return
        with self._database.writing() as connection:
            insert_into = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
            # several servers may start at once
            connection.execute(insert_into(SHARES).on_conflict_do_nothing(index_elements=["slug"]), rows)

    def open(self, slug: str) -> OpenedShare:
        """Open a visible share.

        Raises:
            ShareMissing: it does not exist, is hidden, or was written by an incompatible version of this program.
        """
        with self._database.reading() as connection:
            row = connection.execute(select(SHARES).where(SHARES.c.slug == slug)).one_or_none()
        if row is None:
            raise ShareMissing(f"There is no share {slug[:20]!r} here: its author may have deleted it.")
        if row.hidden:
            raise ShareMissing("This share has been hidden by a moderator.")
        try:
            stored = zlib.decompress(row.generation)
            compared = Comparison.from_json(stored) if row.pane == _COMPARE else None
            generation = compared.first if compared else Generation.from_json(stored)
        except UserError as error:
            raise ShareMissing(f"This share was made by another version of this program: {error}") from error
        return OpenedShare(_share(row), generation, row.candidate, row.attribution, compared)

    def find(self, query: Query) -> Page:
        """The visible shares that match ``query``."""
        with self._database.reading() as connection:
            for statement in gallery_queries(query, _LISTED, connection.dialect.name):
                rows = connection.execute(statement).all()
                if len(rows) > query.limit:
                    break
        page = rows[: query.limit]
        following = (page[-1].likes, page[-1].id) if len(rows) > query.limit else None
        return Page([_share(row) for row in page], following)

    def branches(self) -> list[str]:
        """``repo_id@revision`` of all visible shares, in alphabetical order."""
        found: list[str] = []
        name = (SHARES.c.repo_id, SHARES.c.revision)
        with self._database.reading() as connection:
            last = ("", "")
            # skips from one to the next in the index, because reading all of it grows with the number of shares
            following = select(*name).where(~SHARES.c.hidden).order_by(*name).limit(1)
            while row := connection.execute(following.where(tuple_(*name) > tuple_(*last))).one_or_none():
                last = (row.repo_id, row.revision)
                found.append("@".join(last))
        return found

    def liked(self, slugs: Collection[str], visitor: str) -> set[str]:
        """The ``slugs`` that ``visitor`` likes."""
        query = select(SHARES.c.slug).join(LIKES).where(LIKES.c.visitor == _digest(visitor), SHARES.c.slug.in_(slugs))
        with self._database.reading() as connection:
            return set(connection.scalars(query))

    def like(self, slug: str, visitor: str, likes: bool = True) -> int:
        """Add or remove the like of ``visitor``; returns the number of likes. Repeating it changes nothing.

        Raises:
            ShareMissing: there is no such share.
        """
        with self._database.writing() as connection:
            # the row is locked, so the count is right if two visitors like it at once
            found = select(SHARES.c.id, SHARES.c.likes).where(SHARES.c.slug == slug, ~SHARES.c.hidden)
            share = _existing(connection.execute(found.with_for_update()).one_or_none())
            like = {"share_id": share.id, "visitor": _digest(visitor)}
            this = (LIKES.c.share_id == like["share_id"]) & (LIKES.c.visitor == like["visitor"])
            was = connection.execute(select(LIKES).where(this)).one_or_none() is not None
            if likes == was:
                return share.likes
            connection.execute(insert(LIKES).values(like) if likes else delete(LIKES).where(this))
            count = share.likes + (1 if likes else -1)
            connection.execute(update(SHARES).where(SHARES.c.id == share.id).values(likes=count))
            return count

    def delete(self, slug: str, deletion_token: str) -> None:
        """Remove a share and all that belongs to it.

        Raises:
            ShareMissing: there is no such share.
            ShareRefused: this is not its token.
        """
        with self._database.writing() as connection:
            found = select(SHARES.c.id, SHARES.c.deletion_digest).where(SHARES.c.slug == slug)
            share = _existing(connection.execute(found).one_or_none())
            if not hmac.compare_digest(share.deletion_digest, _digest(deletion_token)):
                raise ShareRefused("This is not the deletion link of the share; nothing was deleted.")
            connection.execute(delete(SHARES).where(SHARES.c.id == share.id))

    def report(self, slug: str, visitor: str, reason: str) -> None:
        """Report a share to the moderator. A visitor's second report of it changes nothing.

        Raises:
            ShareMissing: there is no such share.
            ShareRefused: the reason is missing or too long.
        """
        reason = _storable(reason.strip())
        if not reason:
            raise ShareRefused("Say what is wrong with the share.")
        if len(reason) > MAX_REASON:
            raise ShareRefused(f"The reason has {len(reason):,} characters; {MAX_REASON} are allowed.")
        report = {"visitor": _digest(visitor), "created_at": int(time.time()), "reason": reason}
        with self._database.writing() as connection:
            found = connection.execute(select(SHARES.c.id).where(SHARES.c.slug == slug, ~SHARES.c.hidden))
            share = _existing(found.one_or_none())
            this = (REPORTS.c.share_id == share.id) & (REPORTS.c.visitor == report["visitor"])
            if connection.execute(select(REPORTS.c.id).where(this)).one_or_none() is None:
                connection.execute(insert(REPORTS).values(share_id=share.id, **report))

    def reports(self) -> list[Report]:
        """All reports, the newest first."""
        query = select(*_LISTED, REPORTS.c.reason, REPORTS.c.created_at.label("reported_at")).join(REPORTS)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(REPORTS.c.id.desc())).all()
        return [Report(_share(row), row.reason, _time(row.reported_at)) for row in rows]

    def moderate(self, slug: str, hidden: bool) -> None:
        """Hide a share, or show it again; showing it settles the reports about it.

        Raises:
            ShareMissing: there is no such share.
        """
        with self._database.writing() as connection:
            share = _existing(connection.execute(select(SHARES.c.id).where(SHARES.c.slug == slug)).one_or_none())
            connection.execute(update(SHARES).where(SHARES.c.id == share.id).values(hidden=hidden))
            if not hidden:
                connection.execute(delete(REPORTS).where(REPORTS.c.share_id == share.id))

    def problem(self) -> str | None:
        """Why shares cannot be read or written; None if they can. A good result is reused for a second, because each
        check writes to the disk and waits for it."""
        started = time.monotonic()
        if started - self._well_at < _SECONDS_WELL:
            return None
        try:
            with self._database.writing() as connection:
                # writes the schema's version again: a transaction without changes would not notice a full disk
                connection.exec_driver_sql("UPDATE alembic_version SET version_num = version_num")
        except StoreUnavailable as error:
            return str(error)
        self._well_at = started
        return None

    def close(self) -> None:
        self._database.close()


def share_values(
    shared: Generation | Comparison, title: str, candidate: int, attribution: str | None
) -> tuple[dict[str, Any], Receipt]:
    """The row of a new share, and its author's receipt.

    Raises:
        ShareRefused: it is larger than the limit, or nothing was generated.
    """
    generations = shared.generations if isinstance(shared, Comparison) else (shared,)
    generation = generations[0]
    if not all(each.candidates for each in generations):
        raise ShareRefused("There is nothing to share yet: press Run first.")
    title = " ".join(title.split()) or suggested_title(generation)
    stored = shared.to_json().encode()
    check_size(title, generation, stored)
    receipt = Receipt(_random_slug(), secrets.token_urlsafe(24))
    return {
        "slug": receipt.slug,
        "created_at": int(time.time()),
        "deletion_digest": _digest(receipt.deletion_token),
        "hidden": False,
        "likes": 0,
        "title": _storable(title),
        "pane": _COMPARE if isinstance(shared, Comparison) else generation.pane,
        "language": generation.language,
        "repo_id": generation.repo_id,
        "revision": generation.revision,
        "sha": generation.sha,
        "candidate": candidate,
        "excerpt": excerpt_to_json(excerpt(generation, candidate)),
        "words": _indexed_words(generations, candidate, title),
        "attribution": attribution,
        "generation": zlib.compress(stored),
    }, receipt


def _indexed_words(generations: Sequence[Generation], candidate: int, title: str) -> str:
    generation = generations[0]
    found = words("\n".join([title, *generation.parts]))
    for each in generations:
        for completion in each.candidates[candidate].completions:
            found |= words(completion.text)
    branch = f"{generation.repo_id}@{generation.revision}"
    return " ".join(sorted(found | {facet("language", generation.language), facet("branch", branch)}))


def _share(row: Row) -> Share:
    return Share(
        slug=row.slug,
        title=row.title,
        created_at=_time(row.created_at),
        pane=row.pane,
        language=row.language,
        repo_id=row.repo_id,
        revision=row.revision,
        sha=row.sha,
        likes=row.likes,
        hidden=row.hidden,
        excerpt=excerpt_from_json(row.excerpt),
    )


def _existing(row: Row | None) -> Row:
    if row is None:
        raise ShareMissing("There is no such share: its author or a moderator may have removed it.")
    return row


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _random_slug() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_SLUG_LENGTH))


def _storable(text: str) -> str:
    """``text`` as a database can store it: PostgreSQL's cannot contain NUL.

    Raises:
        ShareRefused: it has lone surrogates.
    """
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ShareRefused("The text has lone surrogates, which are not characters.")
    return text.replace("\0", "\N{SYMBOL FOR NULL}")
