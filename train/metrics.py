"""Metrics of a run as JSON lines, one object a line, in ``metrics.jsonl``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO


class MetricsLog:
    """Appends records that have a ``step``; a resumed run first forgets those its state does not know of."""

    def __init__(self, path: Path, *, next_step: int) -> None:
        kept = [line for line in _complete_lines(path) if json.loads(line)["step"] < next_step]
        path.write_text("".join(kept))
        self._file: IO[str] = path.open("a", buffering=1)

    def write(self, **record: float | int) -> None:
        self._file.write(json.dumps(record) + "\n")

    def close(self) -> None:
        self._file.close()


def _complete_lines(path: Path) -> list[str]:
    """The lines of the file; a kill may have cut the last one short."""
    if not path.exists():
        return []
    return [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
