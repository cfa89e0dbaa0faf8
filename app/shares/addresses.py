"""The database URL, in the form that the drivers expect."""

from __future__ import annotations

import getpass
import ssl
from typing import Any

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.shares.errors import DatabaseUnusable

_DRIVER = "postgresql+pg8000"
_SECONDS_TO_ANSWER = 10
_SOCKET = "{}/.s.PGSQL.{}"
# values as in PostgreSQL's programs; None accepts what the server offers, True encrypts without verifying the server
_SSL_MODES = {"disable": False, "allow": None, "prefer": None, "require": True}
_VERIFYING_MODES = ("verify-ca", "verify-full")


def parse(address: str) -> URL:
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
