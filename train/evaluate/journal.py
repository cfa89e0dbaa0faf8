"""Lines of JSON that survive whatever ends the run: each is complete or not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from train.json_lines import cut_torn_line, read_json_lines

Entry = dict[str, Any]


class Journal:
    """A file that grows entry by entry. What a killed run left of its last line is dropped when it is opened.

    Raises:
        UserError: a line before the last is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.entries: list[Entry] = read_json_lines(path)
        cut_torn_line(path)
        self._file = path.open("ab")

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
