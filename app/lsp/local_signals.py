"""What became of the suggestions of the engine inside: counts in a database of the user's, as a server keeps them."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from app.errors import ShareError
from app.shares.database import Database
from app.shares.signals import OTHER, Event, Signals, Source, Use, acceptance_rates, known_editor
from santacoder.paths import data_folder

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_WRITES = 10


def signals_file() -> Path:
    """The database file."""
    return data_folder() / "suggestions.db"


class LocalSignals:
    """Counts in :func:`signals_file`, which several language servers may share. They are written now and then, because
    writing takes as long as a suggestion."""

    def __init__(self) -> None:
        self._signals: Signals | None = None
        self._unwritten: Counter[tuple[Event, Source]] = Counter()
        self._lock = threading.Lock()  # of what is unwritten
        self._writing = threading.Lock()

    def add(self, feedback: dict[str, Any], sha: str) -> None:
        """Count what app/lsp/shown.py tells; ``sha`` is the commit of its model."""
        repo_id, _, revision = feedback["model"].partition("@")
        editor = known_editor(feedback["editor"])
        source = Source(repo_id, revision, sha, feedback["language"] or OTHER, editor)
        with self._lock:
            is_first = not self._unwritten
            self._unwritten[feedback["event"], source] += 1
        if is_first:
            timer = threading.Timer(_SECONDS_BETWEEN_WRITES, self.write)
            timer.daemon = True
            timer.start()

    def write(self) -> None:
        """Write what has been counted. A database that cannot be written costs the user nothing but the counts."""
        with self._lock:
            counted, self._unwritten = self._unwritten, Counter()
        try:
            with self._writing:
                if counted and self._signals is None:
                    self._signals = _open()
                for (event, source), count in counted.items():
                    assert self._signals is not None
                    self._signals.add(event, source, count)
        except (ShareError, OSError) as error:
            log.info("suggestions were not counted: %s", error)


def acceptance_table() -> str:
    """How many suggestions were shown and accepted, by model, language and editor.

    Raises:
        ShareError: the database cannot be read.
    """
    if not signals_file().is_file():
        return f"Nothing has been counted yet. Counts will be in {signals_file()}."
    uses = _open().use()
    sources = sorted({(use.repo_id, use.revision, use.language, use.editor) for use in uses})
    rows = [_row(source, [use for use in uses if _source(use) == source]) for source in sources]
    return "\n".join(
        [f"{'model':32} {'language':12} {'editor':10} accepted of shown", *rows, f"From {signals_file()}."]
    )


def _open() -> Signals:
    signals_file().parent.mkdir(parents=True, exist_ok=True)
    return Signals(Database(f"sqlite:///{signals_file()}"))


def _source(use: Use) -> tuple[str, str, str, str]:
    return use.repo_id, use.revision, use.language, use.editor


def _row(source: tuple[str, str, str, str], uses: list[Use]) -> str:
    repo_id, revision, language, editor = source
    rate = acceptance_rates(uses)[revision]
    low, high = rate.interval if rate.n else (0.0, 1.0)
    said = f"{rate.points:.0f} of {rate.n} (95 % interval {100 * low:.0f} to {100 * high:.0f} %)"
    return f"{f'{repo_id}@{revision}':32} {language:12} {editor:10} {said}"
