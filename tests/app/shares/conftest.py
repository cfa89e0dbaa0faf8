"""Each test of the store runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.shares.database import Database
from app.shares.store import ShareStore
from tests.app.shares.postgres import POSTGRES, Postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    if POSTGRES is None:
        pytest.skip("there is no PostgreSQL on this machine; make test installs one where it can")
    server = Postgres()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/shares.db"
    server: Postgres = request.getfixturevalue("postgres")
    server.execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    return server.url


@pytest.fixture
def store(database_url: str) -> Iterator[ShareStore]:
    store = ShareStore(Database(database_url))
    yield store
    store.close()
