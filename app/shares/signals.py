"""What became of suggestions in editors: counts by revision, language and editor, and the acceptance rates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from app.shares.database import SIGNALS, Database
from app.shares.rates import Rate

Event = Literal["shown", "accepted", "partly_accepted", "dismissed"]
EVENTS: tuple[Event, ...] = get_args(Event)

# what the names of editors contain: in User-Agent, and in the clientInfo of the Language Server Protocol
_EDITORS = {
    "zed": ("zed",),
    "vscode": ("visual-studio-code", "visual studio code", "vscod", "code - oss"),
    "jetbrains": ("jetbrains", "intellij", "pycharm", "webstorm", "goland", "rider", "clion"),
    "neovim": ("neovim", "nvim"),
    "vim": ("vim",),
    "emacs": ("emacs", "eglot"),
    "eclipse": ("eclipse",),
    "sublime": ("sublime",),
    "helix": ("helix",),
}
OTHER = "other"
_LONGEST = 500  # characters of a name that are searched


@dataclass(frozen=True)
class Source:
    """The revision that wrote a suggestion, and where it was shown. ``language`` and ``editor`` are ``other`` if they
    are none that this server knows."""

    repo_id: str
    revision: str
    sha: str
    language: str
    editor: str


@dataclass(frozen=True)
class Use:
    """How often an event happened to suggestions of a source."""

    repo_id: str
    revision: str
    language: str
    editor: str
    event: str
    count: int


class Signals:
    """Counts in a database. Every method raises StoreUnavailable if the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, event: Event, source: Source, count: int = 1) -> None:
        """Count an event that has happened ``count`` times."""
        row = {**vars(source), "event": event, "count": count}
        with self._database.writing() as connection:
            insert_into = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
            counting = insert_into(SIGNALS).values(row)
            more = {"count": SIGNALS.c.count + count}
            connection.execute(counting.on_conflict_do_update(index_elements=list(SIGNALS.primary_key), set_=more))

    def use(self) -> list[Use]:
        """All counts, over all commits of a revision."""
        columns = [SIGNALS.c[name] for name in ("repo_id", "revision", "language", "editor", "event")]
        query = select(*columns, func.sum(SIGNALS.c.count).label("total")).group_by(*columns).order_by(*columns)
        with self._database.reading() as connection:
            return [
                Use(row.repo_id, row.revision, row.language, row.editor, row.event, int(row.total))
                for row in connection.execute(query)
            ]

    def acceptance(self, repo_id: str) -> dict[str, Rate]:
        """How many suggestions were accepted, wholly or in part, by revision."""
        return acceptance_rates(use for use in self.use() if use.repo_id == repo_id)


def acceptance_rates(uses: Iterable[Use]) -> dict[str, Rate]:
    """The rates by revision, for the use of one repository."""
    by_source: dict[tuple[str, str, str], Counter[str]] = {}
    for use in uses:
        by_source.setdefault((use.revision, use.language, use.editor), Counter())[use.event] += use.count
    n_accepted, n_shown = Counter[str](), Counter[str]()
    for (revision, *_), counts in by_source.items():
        accepted = counts["accepted"] + counts["partly_accepted"]
        n_accepted[revision] += accepted
        # some editors do not say what they show
        n_shown[revision] += max(counts["shown"], accepted + counts["dismissed"])
    return {revision: Rate(n_accepted[revision], n) for revision, n in n_shown.items()}


def known_editor(name: str) -> str:
    """The editor that a name stands for, or ``other``: so that clients cannot make up any number of them."""
    name = name[:_LONGEST].lower()
    return next((editor for editor, signs in _EDITORS.items() if any(sign in name for sign in signs)), OTHER)
