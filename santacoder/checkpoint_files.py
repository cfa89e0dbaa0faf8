"""Reading of the small files of a checkpoint, which may be untrusted, and their names in messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from santacoder.errors import CheckpointError

# ten times the size of a model's scores, or of an index of a thousand files
_MAX_BYTES = 4 << 20


def read_text(path: Path, max_bytes: int = _MAX_BYTES) -> str:
    """Read a UTF-8 text file, without a byte-order mark.

    Raises:
        CheckpointError: it is missing, not a regular file, too large or not text; the message names it.
    """
    if not path.is_file():  # also excludes pipes, because opening one could block forever
        raise CheckpointError(
            f"{shown(path)} is missing." if not path.exists() else f"{shown(path)} is not a regular file."
        )
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise CheckpointError(f"{shown(path)} is larger than {max_bytes >> 20} MB, the limit for such files.")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise CheckpointError(f"{shown(path)} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{shown(path)} cannot be read: it is not UTF-8 text ({error.reason}).") from error


def read_object(path: Path, max_bytes: int = _MAX_BYTES) -> dict[str, Any]:
    """Read the object in a JSON file.

    Raises:
        CheckpointError: it is missing, damaged, or contains something else; the message names it.
    """
    text = read_text(path, max_bytes)
    try:
        document = json.loads(text)
    except ValueError as error:
        raise CheckpointError(f"{shown(path)} cannot be read: {error}.") from error
    except RecursionError as error:
        raise CheckpointError(f"{shown(path)} cannot be read: it is nested too deeply.") from error
    if not isinstance(document, dict):
        raise CheckpointError(f"{shown(path)} cannot be used: it is not a JSON object.")
    return document


def shown(path: Path) -> str:
    """The name of a file in messages: ``org/name@commit/file`` for a file in a store.

    Messages reach clients, which need not know where the store is on the machine.
    """
    for index in range(len(path.parts) - 1, 1, -1):
        repo = path.parts[index - 2]
        if path.parts[index - 1] == "snapshots" and repo.startswith("models--"):
            name = repo.removeprefix("models--").replace("--", "/", 1)
            return "/".join([f"{name}@{path.parts[index][:8]}", *path.parts[index + 1 :]])
    return str(path)
