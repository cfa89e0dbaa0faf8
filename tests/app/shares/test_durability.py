"""Databases that are killed, locked, full, old, new or missing."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from app.errors import DatabaseUnusable, StoreUnavailable
from app.shares.database import Database
from app.shares.models import Query
from app.shares.store import ShareStore
from tests.app.shares.generations import generation
from tests.app.shares.postgres import Postgres
from tests.python_process import PythonProcess


def start_writer(url: str) -> PythonProcess:
    return PythonProcess("-m", "tests.app.shares.writer", url, quiet=True)


def read_some(writer: PythonProcess, count: int) -> list[str]:
    assert writer.stdout
    lines = [writer.stdout.readline() for _ in range(count)]
    assert all(lines), writer.stderr and writer.stderr.read()
    return lines


def read_rest(writer: PythonProcess) -> list[str]:
    """Read everything that was acknowledged; a slug whose line is incomplete does not count."""
    out, _ = writer.communicate(timeout=60)
    return [line for line in out.splitlines(keepends=True) if line.endswith("\n")]


def assert_all_kept(url: str, acknowledged: list[str]) -> None:
    store = ShareStore(Database(url))
    found, after = set(), None
    while True:
        page = store.find(Query("acknowledged", after=after, limit=500))
        found |= {share.slug for share in page.shares}
        after = page.next
        if after is None:
            break
    assert {line.strip() for line in acknowledged} <= found
    assert store.open(acknowledged[-1].strip()).generation.parts == ("acknowledged",)
    store.close()


@pytest.mark.slow
def test_killed_writers_lose_no_acknowledged_share(database_url: str) -> None:
    # both find an empty database, and one of them makes the tables
    writers = [start_writer(database_url), start_writer(database_url)]
    acknowledged = [line for writer in writers for line in read_some(writer, 20)]
    for writer in writers:
        writer.kill()
    for writer in writers:
        acknowledged += read_rest(writer)
    assert_all_kept(database_url, acknowledged)
    if database_url.startswith("sqlite"):
        with sqlite3.connect(database_url.removeprefix("sqlite:///")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            connection.execute("INSERT INTO shares_words(shares_words, rank) VALUES ('integrity-check', 1)")


@pytest.mark.slow
def test_a_killed_postgresql_loses_no_acknowledged_share(postgres: Postgres) -> None:
    writer = start_writer(postgres.url)
    acknowledged = read_some(writer, 20)
    postgres.kill()
    acknowledged += read_rest(writer)
    postgres.start()
    assert_all_kept(postgres.url, acknowledged)


def test_every_commit_reaches_the_disk(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/shares.db")
    with database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
    database.close()


def test_a_locked_store_is_a_sentence_and_works_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.shares.database._SECONDS_TO_WAIT_FOR_A_LOCK", 0.2)
    store = ShareStore(Database(f"sqlite:///{tmp_path}/shares.db"))
    other = sqlite3.connect(tmp_path / "shares.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    sentence = "The store of shares is busy, and nothing was changed. Try again in a moment."
    with pytest.raises(StoreUnavailable) as caught:
        store.add(generation("x"), "")
    assert str(caught.value) == sentence and store.problem() == sentence
    assert store.find(Query()).shares == []  # readers do not wait
    other.execute("ROLLBACK")
    assert store.open(store.add(generation("x"), "").slug)
    store.close()
    other.close()


def test_a_full_disk_is_a_sentence_and_loses_nothing(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/shares.db")
    store = ShareStore(database)
    kept = store.add(generation("before"), "before").slug
    with database.reading() as connection:  # SQLite's own limit is told as a full disk is
        connection.exec_driver_sql(
            f"PRAGMA max_page_count = {connection.exec_driver_sql('PRAGMA page_count').scalar()}"
        )
    with pytest.raises(StoreUnavailable, match="disk that holds the shares is full, and nothing was changed"):
        for number in range(2000):
            store.add(generation("\n".join(f"w{number}n{index}" for index in range(200))), "")
    assert store.open(kept).share.title == "before"
    store.close()


def test_a_server_that_has_gone_is_a_sentence_without_its_address(postgres: Postgres) -> None:
    store = ShareStore(Database(postgres.url))
    slug = store.add(generation("x"), "").slug
    postgres.kill()
    for _ in range(2):
        with pytest.raises(StoreUnavailable) as caught:
            store.open(slug)
        assert str(caught.value) == "The store of shares does not respond. Try again in a moment."
    postgres.start()
    assert store.open(slug).share.slug == slug  # without a restart of ours
    store.close()


def test_a_database_of_a_newer_program_is_refused_and_left_alone(
    database_url: str, request: pytest.FixtureRequest
) -> None:
    store = ShareStore(Database(database_url))
    slug = store.add(generation("x"), "").slug
    store.close()
    _execute(request, database_url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(
        DatabaseUnusable, match=r"newer version of this program \(schema 9999; this one supports up to 0003"
    ):
        Database(database_url)
    _execute(request, database_url, "UPDATE alembic_version SET version_num = '0003'")
    store = ShareStore(Database(database_url))
    assert store.open(slug)
    store.close()


@pytest.mark.parametrize(
    "address,sentence",
    [
        ("nonsense", "is not a database URL"),
        ("mysql://host/name", "must begin with sqlite:/// and a file, or with postgresql://, not mysql"),
        ("sqlite://", "must begin with sqlite:///"),
        ("sqlite:////proc/none/shares.db", "cannot be created"),
        ("postgresql://user:secret@127.0.0.1:1/name", r"postgresql\+pg8000://user:\*\*\*@127.0.0.1:1/name cannot"),
        ("postgresql+pg8000://user:secret@127.0.0.1:1/name", "Can't create a connection to host 127.0.0.1"),
        ("postgresql://user:secret@host/name?pool=3", "has pool after its question mark"),
        ("postgresql://user:secret@host/name?sslmode=perhaps", "has the sslmode 'perhaps'"),
    ],
)
def test_an_address_that_cannot_be_used_is_a_sentence(address: str, sentence: str) -> None:
    with pytest.raises(DatabaseUnusable, match=sentence) as caught:
        Database(address)
    assert "SANTACODER_DATABASE_URL" in str(caught.value) and "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_a_sentence(tmp_path: Path) -> None:
    shutil.copy(__file__, tmp_path / "shares.db")
    with pytest.raises(DatabaseUnusable, match="file is not a database"):
        Database(f"sqlite:///{tmp_path}/shares.db")
    assert (tmp_path / "shares.db").read_bytes() == Path(__file__).read_bytes()


def _execute(request: pytest.FixtureRequest, url: str, statement: str) -> None:
    if not url.startswith("sqlite"):
        request.getfixturevalue("postgres").execute(statement)
        return
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute(statement)
    connection.close()
