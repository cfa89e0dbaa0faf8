"""How shares are found: by words, the same on every database, and the queries behind a page of the gallery."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from sqlalchemy import (
    Column,
    ColumnElement,
    Select,
    TextClause,
    bindparam,
    column,
    func,
    literal_column,
    select,
    table,
    tuple_,
)
from sqlalchemy import text as sql

from app.shares.database import SHARES
from app.shares.models import Query

_RANKED = 1_000
"""How many of the newest matches are ordered by likes; for a common word, older matches are not even read."""
_RECENT = 5_000
"""How many of the newest shares PostgreSQL scans before it queries the index of words for all matches."""
_WORDS = table("shares_words", column("rowid"))  # the index of words in SQLite

_MAX_LENGTH = 64
_MIN_PREFIX = 3
_WORD = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def gallery_queries(query: Query, columns: Sequence[Column], dialect: str) -> list[Select]:
    """Queries for ``columns`` of the page that ``query`` asks for, and of one more share, which shows whether there is
    another page.

    The result is that of the first query that finds enough, otherwise that of the last.
    """
    if not query.text.strip():
        return [_page(query, select(*columns), SHARES.c.id)]
    terms = _terms(query, dialect)
    if not terms:
        return [select(*columns).where(sql("1 = 0"))]
    if query.order == "likes":
        best = _matching(select(_id(dialect)), terms, dialect).order_by(_id(dialect).desc()).limit(_RANKED)
        return [_page(query, select(*columns).where(SHARES.c.id.in_(best)), SHARES.c.id)]
    found = _matching(select(*columns), terms, dialect)
    if dialect == "sqlite":  # its index returns matches in the order of ids
        joined = found.join_from(_WORDS, SHARES, _WORDS.c.rowid == SHARES.c.id)
        return [_page(query, joined, _WORDS.c.rowid)]
    newest = query.after[1] if query.after else select(func.max(SHARES.c.id)).scalar_subquery()
    recent = found.where(SHARES.c.id > newest - _RECENT)
    # an order without an index, so that the planner does not read all shares for a few matches
    return [_page(query, recent, SHARES.c.id), _page(query, found, SHARES.c.id + literal_column("0"))]


def _page(query: Query, statement: Select, share_id: ColumnElement[int]) -> Select:
    statement = statement.where(~SHARES.c.hidden)
    if query.language:
        statement = statement.where(SHARES.c.language == query.language)
    if query.branch:
        repo_id, _, revision = query.branch.partition("@")
        statement = statement.where(SHARES.c.repo_id == repo_id, SHARES.c.revision == revision)
    order = [share_id] if query.order == "newest" else [SHARES.c.likes, share_id]
    if query.after:
        position = query.after[1:] if query.order == "newest" else query.after
        statement = statement.where(tuple_(*order) < tuple_(*position) if len(order) > 1 else share_id < position[0])
    return statement.order_by(*(key.desc() for key in order)).limit(query.limit + 1)


def _id(dialect: str) -> ColumnElement[int]:
    return _WORDS.c.rowid if dialect == "sqlite" else SHARES.c.id


def _matching(statement: Select, terms: str, dialect: str) -> Select:
    """``statement``, restricted to shares that contain all words."""
    clause = "shares_words MATCH :terms" if dialect == "sqlite" else "words_index @@ CAST(:terms AS tsquery)"
    matches: TextClause = sql(clause).bindparams(bindparam("terms", terms))
    return statement.where(matches)


def _terms(query: Query, dialect: str) -> str:
    """The query for the index of words. Filters are words, too, so it finds shares that match both without reading
    shares that match only one."""
    whole, beginning = searched(query.text)
    if not (whole or beginning):
        return ""
    if query.language:
        whole.append(facet("language", query.language))
    if query.branch:
        whole.append(facet("branch", query.branch))
    # these are letters and digits alone, so quotes need no escaping
    if dialect == "sqlite":
        return " ".join([*(f'"{word}"' for word in whole), *([f'"{beginning}"*'] if beginning else [])])
    return " & ".join([*(f"'{word}'" for word in whole), *([f"'{beginning}':*"] if beginning else [])])


def words(text: str) -> set[str]:
    """The words of ``text`` in lower case. Identifiers are split into their parts; ``camelCase`` also counts as a
    whole."""
    found: set[str] = set()
    for match in _WORD.finditer(text):
        parts = _HUMP.split(match[0])
        found.update(part.casefold()[:_MAX_LENGTH] for part in (*parts, match[0]))
    return found


def searched(text: str) -> tuple[list[str], str]:
    """The words of a search, and the prefix of its last word, which may still be incomplete."""
    last = _WORD.findall(text)[-1:]
    if not last or len(last[0]) < _MIN_PREFIX or not text.endswith(last[0]):
        return sorted(words(text)), ""
    beginning = last[0].casefold()[:_MAX_LENGTH]
    return sorted(words(text[: -len(last[0])])), beginning


def facet(name: str, value: str) -> str:
    """An artificial word for a filter, so that the index of words handles filters, too."""
    return "x" + hashlib.sha256(f"{name} {value}".encode()).hexdigest()[:24]
