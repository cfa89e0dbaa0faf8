"""Files of JSON lines that grow while a run writes them: a kill may have cut the last line short."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from santacoder.errors import UserError


def read_json_lines(path: Path, *, skip_damaged: bool = False) -> list[dict[str, Any]]:
    """The objects in ``path``, without a last line that has no end; none where there is no file.

    Raises:
        UserError: another line is no JSON object, and ``skip_damaged`` does not pass it over.
    """
    found = []
    complete = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    for number, line in enumerate(complete, 1):
        try:
            entry = json.loads(line)
            if not isinstance(entry, dict):
                raise TypeError("it is no object")
            found.append(entry)
        except (ValueError, TypeError, RecursionError) as error:
            if not skip_damaged:
                raise UserError(f"Line {number} of {path} is damaged ({error}); remove it to go on.") from error
    return found


def cut_torn_line(path: Path) -> None:
    """Take away what a kill has left of the last line, so that the next one begins on a line of its own."""
    with path.open("ab+") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
