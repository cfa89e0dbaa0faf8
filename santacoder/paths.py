"""Paths and commands as people write them, on command lines and in the environment."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentTypeError
from pathlib import Path

from santacoder.errors import UserError

_ROOT = Path(__file__).resolve().parents[1]
# the repository's folder, or None where the code was installed without it
CHECKOUT = _ROOT if (_ROOT / "pyproject.toml").is_file() else None


# bytes; what Linux has, and most others have no more: limits.h, NAME_MAX and PATH_MAX
_LONGEST_NAME, _LONGEST_PATH = 255, 4095


class UnusablePath(UserError, ArgumentTypeError):
    """A path that no file can have; on a command line, argparse tells it."""


def user_path(text: str | Path) -> Path:
    """``text`` with a leading ``~`` expanded, which no shell does behind ``=`` or in a variable.

    Raises:
        UnusablePath: no file can have that path; the message is a sentence for the user.
    """
    try:
        path = Path(text).expanduser()
    except RuntimeError:  # ~name of somebody who is not known here
        path = Path(text)
    shown = str(text) if len(str(text)) <= 60 else f"{str(text)[:60]}…"
    try:
        encoded = os.fsencode(path)
    except UnicodeEncodeError as error:
        raise UnusablePath(f"{shown!r} cannot be a path: it has characters that no file name has.") from error
    if b"\0" in encoded:
        raise UnusablePath(f"{shown!r} cannot be a path: it has a null character.")
    if len(encoded) > _LONGEST_PATH or any(len(os.fsencode(part)) > _LONGEST_NAME for part in path.parts):
        raise UnusablePath(
            f"{shown!r} is too long for a path: of {_LONGEST_PATH:,} bytes, no name in it may have more than "
            f"{_LONGEST_NAME}."
        )
    return path


def data_folder() -> Path:
    """Where the user's programs keep their data, by the XDG Base Directory Specification."""
    return user_path(os.environ.get("XDG_DATA_HOME") or "~/.local/share") / "santacoder"


def command_name(subcommand: str, otherwise: str) -> str:
    """How the running command was called: ``santacoder SUBCOMMAND`` where it is installed, or ``otherwise``."""
    return f"santacoder {subcommand}" if Path(sys.argv[0]).stem == "santacoder" else otherwise
