"""Paths and commands as users enter them, on the command line and in environment variables."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentTypeError
from pathlib import Path

from santacoder.errors import UserError

_ROOT = Path(__file__).resolve().parents[1]
# the repository's folder, or None if the code was installed without it
CHECKOUT = _ROOT if (_ROOT / "pyproject.toml").is_file() else None
SKIPPED_FOLDERS = frozenset(
    {"__pycache__", "node_modules", "site-packages", "dist", "build", "_vendor", "vendor", "umd", "bundles"}
)
"""Folders of generated or third-party files, which the authors of the project around them did not write."""

# bytes; the limits of Linux (limits.h: NAME_MAX and PATH_MAX), which most other systems do not exceed
_LONGEST_NAME, _LONGEST_PATH = 255, 4095


class UnusablePath(UserError, ArgumentTypeError):
    """A path that cannot exist; on a command line, argparse reports it."""


def user_path(text: str | Path) -> Path:
    """``text`` with a leading ``~`` expanded, which shells do not do after ``=`` or in a variable.

    Raises:
        UnusablePath: no file can have that path; the message is a sentence for the user.
    """
    try:
        path = Path(text).expanduser()
    except RuntimeError:  # ~name of an unknown user
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
            f"{shown!r} is too long: a path may have at most {_LONGEST_PATH:,} bytes, and each name in it at most "
            f"{_LONGEST_NAME}."
        )
    return path


def data_folder() -> Path:
    """The folder for the data of the user's programs, by the XDG Base Directory Specification."""
    return user_path(os.environ.get("XDG_DATA_HOME") or "~/.local/share") / "santacoder"


def cache_folder() -> Path:
    """The folder for what can be made again, by the XDG Base Directory Specification."""
    return user_path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "santacoder"


def command_name(subcommand: str, otherwise: str) -> str:
    """The name of the running command: ``santacoder SUBCOMMAND`` if it is installed, or ``otherwise``."""
    return f"santacoder {subcommand}" if Path(sys.argv[0]).stem == "santacoder" else otherwise
