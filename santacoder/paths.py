"""Paths and commands as people write them, on command lines and in the environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
# the repository's folder, or None where the code was installed without it
CHECKOUT = _ROOT if (_ROOT / "pyproject.toml").is_file() else None


def user_path(text: str | Path) -> Path:
    """``text`` with a leading ``~`` expanded, which no shell does behind ``=`` or in a variable."""
    try:
        return Path(text).expanduser()
    except RuntimeError:  # ~name of somebody who is not known here
        return Path(text)


def data_folder() -> Path:
    """Where the user's programs keep their data, by the XDG Base Directory Specification."""
    return user_path(os.environ.get("XDG_DATA_HOME") or "~/.local/share") / "santacoder"


def command_name(subcommand: str, otherwise: str) -> str:
    """How the running command was called: ``santacoder SUBCOMMAND`` where it is installed, or ``otherwise``."""
    return f"santacoder {subcommand}" if Path(sys.argv[0]).stem == "santacoder" else otherwise
