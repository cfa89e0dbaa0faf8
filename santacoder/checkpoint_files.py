"""The small files of a checkpoint, which may be anybody's: how they are read, and how messages name them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from santacoder.errors import CheckpointError

# ten times what the scores of a model take, or an index of a thousand files
_MAX_BYTES = 4 << 20


def read_text(path: Path, max_bytes: int = _MAX_BYTES) -> str:
    """The text of a file in UTF-8, without the byte-order mark that some editors put before it.

    Raises:
        CheckpointError: it is missing, no plain file, too large or no text; the message names it.
    """
    if not path.is_file():  # which a pipe is not, either: to open one could wait for ever
        raise CheckpointError(f"{shown(path)} is missing." if not path.exists() else f"{shown(path)} is no plain file.")
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise CheckpointError(f"{shown(path)} is larger than {max_bytes >> 20} MB, which no such file is.")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise CheckpointError(f"{shown(path)} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{shown(path)} cannot be read: it is no text in UTF-8 ({error.reason}).") from error


def read_object(path: Path, max_bytes: int = _MAX_BYTES) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        CheckpointError: it is missing, damaged, or holds something else; the message names it.
    """
    text = read_text(path, max_bytes)
    try:
        document = json.loads(text)
    except ValueError as error:
        raise CheckpointError(f"{shown(path)} cannot be read: {error}.") from error
    except RecursionError as error:
        raise CheckpointError(f"{shown(path)} cannot be read: it is nested too deeply.") from error
    if not isinstance(document, dict):
        raise CheckpointError(f"{shown(path)} cannot be used: it holds no settings by name.")
    return document


def shown(path: Path) -> str:
    """How a message names a file: below the model and the commit where it lies in a store, ``org/name@commit/file``.

    Such messages reach clients, who need not know where on the machine a store is.
    """
    for index in range(len(path.parts) - 1, 1, -1):
        repo = path.parts[index - 2]
        if path.parts[index - 1] == "snapshots" and repo.startswith("models--"):
            name = repo.removeprefix("models--").replace("--", "/", 1)
            return "/".join([f"{name}@{path.parts[index][:8]}", *path.parts[index + 1 :]])
    return str(path)
