"""Lines of JSON that survive whatever ends the run: each is complete or not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from santacoder.errors import UserError

Entry = dict[str, Any]


class Journal:
    """A file that grows entry by entry. What a killed run left of its last line is dropped when it is opened.

    Raises:
        UserError: a line before the last is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.entries: list[Entry] = []
        content = path.read_bytes() if path.exists() else b""
        complete, _, _ = content.rpartition(b"\n")
        for number, line in enumerate(complete.splitlines(), 1):
            try:
                self.entries.append(json.loads(line))
            except ValueError as error:
                raise UserError(f"Line {number} of {path} is damaged ({error}); remove it to go on.") from error
        self._file = path.open("ab")
        self._file.truncate(len(complete) + 1 if complete else 0)

    def append(self, entry: Entry) -> None:
        """
        Raises:
            OSError: the disk is full; the entries before are whole.
        """
        self._file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        self.entries.append(entry)

    def close(self) -> None:
        self._file.close()
