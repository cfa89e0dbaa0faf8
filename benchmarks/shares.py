"""The speed of the gallery with many shares, on SQLite and PostgreSQL: ``python -m benchmarks.shares [--shares N]``.

The shares are excerpts of Python's standard library. PostgreSQL is started for the measurement if it is installed.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from sqlalchemy import insert, text

from app.generation.records import Generation, Language
from app.shares.database import SHARES, Database
from app.shares.models import Query
from app.shares.store import ShareStore, share_values
from tests.app.shares.generations import generation
from tests.app.shares.postgres import POSTGRES, Postgres

_BATCH = 1000
_REPETITIONS = 21
_BRANCHES = ["main", "no-fim", "dedup-alt", "comments"]
_LANGUAGES: list[Language] = ["python", "java", "javascript"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shares", description=__doc__)
    parser.add_argument("--shares", type=int, default=100_000, help="number of shares (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure("SQLite", f"sqlite:///{folder}/shares.db", arguments.shares)
    if POSTGRES:
        with running_postgres() as url:
            measure("PostgreSQL", url, arguments.shares)


def measure(name: str, url: str, n_shares: int) -> None:
    database = Database(url)
    started = time.perf_counter()
    fill(database, n_shares)
    print(f"\n{name}, {n_shares:,} shares (stored in {time.perf_counter() - started:.0f} s)")
    store = ShareStore(database)
    print("| | median ms | slowest ms | shares |\n|---|---|---|---|")
    for label, query in queries(store):
        report(label, lambda query=query: store.find(query).shares)  # type: ignore[misc]
    newest = store.find(Query()).shares[0].slug
    report("branches for the menu", store.branches)
    report("open one", lambda: [store.open(newest)])
    report("store one", lambda: [store.add(share(random.Random(1)), "one more")])
    store.close()


def queries(store: ShareStore) -> Iterator[tuple[str, Query]]:
    """Queries with common and rare words, with and without filters, on the first page and deep in the list."""
    middle = (0, store.find(Query()).next[1] // 2)  # type: ignore[index]
    rare = "numberless"
    yield "list", Query()
    yield "list, from the middle", Query(after=middle)
    yield "list, most liked", Query(order="likes")
    yield "list, language and branch", Query(language="java", branch="santacoder/nano@no-fim")
    yield "list, no results", Query(language="java", branch="santacoder/nano@absent")
    for label, words in (
        ("a word of most shares", "self"),
        ("two common words", "return def"),
        ("a prefix", "retu"),
        ("a prefix of many words", "con"),
        ("a rare word", rare),
        ("a common and a rare word", f"self {rare}"),
        ("a word of no share", "xyzzyx"),
        ("two words rarely together", "assertequal warnings"),
    ):
        yield f"search, {label}", Query(words)
        yield f"search, {label}, most liked", Query(words, order="likes")
        yield f"search, {label}, filtered", Query(words, language="java", branch="santacoder/nano@no-fim")
    yield "search, a word of most shares, from the middle", Query("self", after=middle)


def report(label: str, action: Callable[[], list[Any]]) -> None:
    seconds = []
    for _ in range(_REPETITIONS):
        started = time.perf_counter()
        found = action()
        seconds.append(time.perf_counter() - started)
    print(f"| {label} | {statistics.median(seconds) * 1e3:.1f} | {max(seconds) * 1e3:.1f} | {len(found)} |", flush=True)


def fill(database: Database, n_shares: int) -> None:
    """Add shares as the store would, many at a time; some of them have likes."""
    draw = random.Random(0)
    for start in range(0, n_shares, _BATCH):
        values = []
        for number in range(start, min(n_shares, start + _BATCH)):
            title = "numberless" if number % 9973 == 5 else f"Number {number}"
            row, _ = share_values(share(draw), title, 0, None)
            values.append({**row, "likes": int(draw.paretovariate(1)) - 1})
        with database.writing() as connection:
            connection.execute(insert(SHARES), values)
    with database.writing() as connection:
        connection.execute(text("ANALYZE"))


_SOURCES: list[str] = []


def share(draw: random.Random) -> Generation:
    """Twenty lines of a Python file, continued with five more."""
    if not _SOURCES:
        paths = sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py"))
        _SOURCES.extend(path.read_text(errors="replace") for path in islice(cycle(paths), 3, 4000, 3))
    lines = draw.choice(_SOURCES).splitlines(keepends=True)
    start = draw.randrange(max(1, len(lines) - 25))
    prompt, written = "".join(lines[start : start + 20]), "".join(lines[start + 20 : start + 25])
    texts = (written[:120],)
    return generation(prompt, texts=texts, language=draw.choice(_LANGUAGES), revision=draw.choice(_BRANCHES))


@contextmanager
def running_postgres() -> Iterator[str]:
    server = Postgres()
    try:
        yield server.url
    finally:
        server.stop()


if __name__ == "__main__":
    main()
