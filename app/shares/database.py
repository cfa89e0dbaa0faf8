"""The database of the shares: an SQLite file, or PostgreSQL where ``SANTACODER_DATABASE_URL`` names one."""

from __future__ import annotations

import getpass
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    text,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from app.errors import DatabaseUnusable, StoreUnavailable

METADATA = MetaData()
_ID = BigInteger().with_variant(Integer, "sqlite")

SHARES = Table(
    "shares",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("slug", String(16), nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),  # seconds since 1970
    Column("deletion_digest", String(64), nullable=False),  # SHA-256 of the token in the author's link
    Column("hidden", Boolean, nullable=False),
    Column("likes", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("pane", String(16), nullable=False),
    Column("language", String(16), nullable=False),
    Column("repo_id", Text, nullable=False),
    Column("revision", Text, nullable=False),
    Column("sha", String(64), nullable=False),
    Column("candidate", Integer, nullable=False),  # the candidate that was shown
    Column("excerpt", Text, nullable=False),  # JSON: see models.py
    Column("words", Text, nullable=False),  # the words it is found by: see search.py
    Column("attribution", Text),  # JSON of the spans found in the training files, if they were looked up
    # JSON of a generation, or of a comparison where the pane is "compare" (generation/records.py), compressed by zlib
    Column("generation", LargeBinary, nullable=False),
    sqlite_autoincrement=True,  # ids are never reused, so that pagination continues where it stopped
)

LIKES = Table(
    "likes",
    METADATA,
    Column("share_id", _ID, ForeignKey("shares.id", ondelete="CASCADE"), primary_key=True),
    Column("visitor", String(64), primary_key=True),  # SHA-256 of what is in the visitor's cookie
)

REPORTS = Table(
    "reports",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("share_id", _ID, ForeignKey("shares.id", ondelete="CASCADE"), nullable=False),
    Column("visitor", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    UniqueConstraint("share_id", "visitor"),
)

# a row for each revision of a comparison
VOTES = Table(
    "votes",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("visitor", String(64), nullable=False),  # as for likes
    Column("comparison", String(64), nullable=False),  # SHA-256 of the prompt and of all texts
    Column("created_at", BigInteger, nullable=False),
    Column("repo_id", Text, nullable=False),
    Column("revision", Text, nullable=False),
    Column("points", Float, nullable=False),  # for a win over another revision 1, for a tie a half
    Column("games", Integer, nullable=False),  # the number of other revisions
    UniqueConstraint("visitor", "comparison", "repo_id", "revision"),
)

# what became of suggestions in editors, as counts: nothing about a single one is kept
SIGNALS = Table(
    "signals",
    METADATA,
    Column("repo_id", Text, primary_key=True),
    Column("revision", Text, primary_key=True),
    Column("sha", String(64), primary_key=True),
    Column("language", String(16), primary_key=True),
    Column("editor", String(16), primary_key=True),
    Column("event", String(16), primary_key=True),
    Column("count", BigInteger, nullable=False),
)

_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 0x5A17AC0DE  # any number that no other program locks
_SECONDS_TO_WAIT_FOR_A_LOCK = 5

_DRIVER = "postgresql+pg8000"
_SECONDS_TO_ANSWER = 10
_SOCKET = "{}/.s.PGSQL.{}"
# values as in PostgreSQL's programs; None accepts what the server offers, True encrypts without verifying the server
_SSL_MODES = {"disable": False, "allow": None, "prefer": None, "require": True}
_VERIFYING_MODES = ("verify-ca", "verify-full")


class Database:
    """An open database, migrated to this version's schema.

    Raises:
        DatabaseUnusable: there is no database at the URL, or a newer version has written it.
    """

    def __init__(self, address: str) -> None:
        url = parse_url(address)
        self.engine = _open(url)
        try:
            with self.writing() as connection:
                _migrate(connection)
        except (StoreUnavailable, DatabaseUnusable) as error:
            self.engine.dispose()
            name = url.render_as_string(hide_password=True)
            raise DatabaseUnusable(
                f"The database of shares {name} cannot be used. {error} {_words_of(error.__cause__)}".strip()
                + "\nChoose another database with SANTACODER_DATABASE_URL."
            ) from error

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """
        Raises:
            StoreUnavailable: the database does not answer; the message is for the user.
        """
        with _explained(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction, which is on disk once the block has ended without an error.

        Raises:
            StoreUnavailable: nothing has been written; the message is for the user.
        """
        with _explained(), self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection

    def close(self) -> None:
        self.engine.dispose()


def _open(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        assert url.database
        try:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseUnusable(
                f"The folder of the database {url.database} cannot be created: {error.strerror}. "
                "Choose another database with SANTACODER_DATABASE_URL."
            ) from error
        engine = create_engine(url, connect_args={"timeout": _SECONDS_TO_WAIT_FOR_A_LOCK})
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_in_sqlite)
        return engine
    url, arguments = for_postgresql(url)
    # detects connections lost by a restart of the database before they are used
    return create_engine(url, pool_pre_ping=True, connect_args=arguments)


def _set_up_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions begin where _begin_in_sqlite says so
    # readers and a writer at once; acknowledged writes survive a power failure
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_in_sqlite(connection: Connection) -> None:
    # a writer takes the lock at the start: if it read first, it would be refused after another write
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _migrate(connection: Connection) -> None:
    """Migrate the schema; servers that start together do so one after another."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    present = MigrationContext.configure(connection).get_current_revision()
    if present is not None and present not in known:
        raise DatabaseUnusable(
            f"It was written by a newer version of this program (schema {present}; this one supports up to "
            f"{known[0]}). Update the program."
        )
    if present != known[0]:
        command.upgrade(config, "head")


def _words_of(error: BaseException | None) -> str:
    """The database's own message, for the operator."""
    if not isinstance(error, DBAPIError) or error.orig is None:
        return ""
    told = error.orig.args[0] if error.orig.args else ""
    return str(told["M"] if isinstance(told, dict) else error.orig)  # pg8000 hands on the fields of the answer


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise StoreUnavailable(_sentence(error)) from error


def _sentence(error: SQLAlchemyError) -> str:
    """The message for visitors. The database's own message, which may name hosts and users, is the error's cause."""
    reason = str(error).lower()
    if "locked" in reason or "lock timeout" in reason:
        return "The store of shares is busy, and nothing was changed. Try again in a moment."
    if "disk is full" in reason or "no space left" in reason or "disk full" in reason:
        return "The disk that holds the shares is full, and nothing was changed. Tell the operator of this server."
    if "readonly" in reason or "read-only" in reason:
        return "The store of shares is read-only at the moment, and nothing was changed."
    return "The store of shares does not respond. Try again in a moment."


def parse_url(address: str) -> URL:
    """
    Raises:
        DatabaseUnusable: this is not a database URL; the message is for the user.
    """
    try:
        url = make_url(address)
    except ArgumentError as error:
        raise DatabaseUnusable(
            f"SANTACODER_DATABASE_URL is not a database URL: {address!r}. "
            "Use sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME."
        ) from error
    kind = url.get_backend_name()
    if kind in ("postgresql", "postgres"):  # the second is how some hosts spell it
        return url.set(drivername=_DRIVER, username=url.username or getpass.getuser())
    if kind != "sqlite" or not url.database:
        raise DatabaseUnusable(
            f"SANTACODER_DATABASE_URL must begin with sqlite:/// and a file, or with postgresql://, not {kind}://."
        )
    return url


def for_postgresql(url: URL) -> tuple[URL, dict[str, Any]]:
    """The URL without its parameters, and these as arguments of the driver: ``host``, if it is the folder of a socket,
    and ``sslmode``.

    Raises:
        DatabaseUnusable: there are other parameters, or invalid values.
    """
    given = dict(url.query)
    arguments: dict[str, Any] = {"timeout": _SECONDS_TO_ANSWER}
    folder = str(given.pop("host", ""))
    if folder.startswith("/"):
        arguments["unix_sock"] = _SOCKET.format(folder, url.port or 5432)
    elif folder:
        url = url.set(host=folder)
    arguments["ssl_context"] = _ssl_context(str(given.pop("sslmode", "prefer")))
    if given:
        raise DatabaseUnusable(
            f"SANTACODER_DATABASE_URL has {', '.join(sorted(given))} after its question mark; only host and sslmode "
            "are supported there. Remove the rest."
        )
    return url.set(query={}), arguments


def _ssl_context(mode: str) -> ssl.SSLContext | bool | None:
    if mode in _SSL_MODES:
        return _SSL_MODES[mode]
    if mode not in _VERIFYING_MODES:
        known = ", ".join([*_SSL_MODES, *_VERIFYING_MODES])
        raise DatabaseUnusable(f"SANTACODER_DATABASE_URL has the sslmode {mode!r}; it must be one of {known}.")
    context = ssl.create_default_context()
    context.check_hostname = mode == "verify-full"
    return context
