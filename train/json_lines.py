"""JSON lines files that grow during a run; if the run is killed, the last line may be incomplete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from santacoder.errors import UserError


def read_json_lines(path: Path, *, skip_damaged: bool = False) -> list[dict[str, Any]]:
    """Read the objects in ``path``, except for an incomplete last line. A missing file has none.

    Raises:
        UserError: another line is not a JSON object, unless ``skip_damaged`` skips such lines.
    """
    found = []
    complete = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    for number, line in enumerate(complete, 1):
        try:
            entry = json.loads(line)
            if not isinstance(entry, dict):
                raise TypeError("it is not an object")
            found.append(entry)
        except (ValueError, TypeError, RecursionError) as error:
            if not skip_damaged:
                raise UserError(f"Line {number} of {path} is damaged ({error}); remove it to continue.") from error
    return found


def cut_torn_line(path: Path) -> None:
    """Remove an incomplete last line, so that the next record starts on its own line."""
    with path.open("ab+") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
