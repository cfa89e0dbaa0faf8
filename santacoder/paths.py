"""Paths as people write them, on command lines and in the environment."""

from __future__ import annotations

from pathlib import Path


def user_path(text: str | Path) -> Path:
    """``text`` with a leading ``~`` expanded, which no shell does behind ``=`` or in a variable."""
    try:
        return Path(text).expanduser()
    except RuntimeError:  # ~name of somebody who is not known here
        return Path(text)
