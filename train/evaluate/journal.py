"""An append-only file of JSON lines that survives a crash: each entry is complete or absent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from train.json_lines import cut_torn_line, read_json_lines

Entry = dict[str, Any]


class Journal:
    """A file to which entries are appended. An incomplete last line of a killed run is removed on opening.

    Raises:
        UserError: a line before the last is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.entries: list[Entry] = read_json_lines(path)
        cut_torn_line(path)
        self._file = path.open("ab")

    def append(self, entry: Entry) -> None:
        """Append an entry.

        Raises:
            OSError: the disk is full; earlier entries are intact.
        """
        self._file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        self.entries.append(entry)

    def close(self) -> None:
        self._file.close()
