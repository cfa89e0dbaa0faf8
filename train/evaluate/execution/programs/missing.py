"""Finding the compilers and runtimes of the languages."""

from __future__ import annotations

import shutil
from pathlib import Path


class MissingProgram(Exception):
    """A language cannot be run on this machine; the message says what to install."""


def find(name: str, what: str) -> Path:
    """The resolved path of a program or a file.

    Raises:
        MissingProgram: it does not exist.
    """
    path = shutil.which(name) or (name if Path(name).is_file() else None)
    if path is None:
        raise MissingProgram(f"{name} was not found: to run these programs, install {what}.")
    return Path(path).resolve()
