"""Metrics of a run, in two formats: JSON lines for programs and TensorBoard event files for people.

TensorBoard's files are in the run folder, are only appended to, need no server, and can be read by most tools that plot
curves.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

from torch.utils.tensorboard import SummaryWriter

from train.json_lines import read_json_lines


class Metrics:
    """Appends records that have a ``step``. A resumed run first removes the records after its saved state."""

    def __init__(self, path: Path, tensorboard: Path, *, next_step: int) -> None:
        forget_from(next_step, path)
        self._file: IO[str] = path.open("a", buffering=1)
        self._events = SummaryWriter(str(tensorboard), purge_step=next_step or None)

    def write(self, *, step: int, **values: float) -> None:
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        for name, value in values.items():
            self._events.add_scalar(name, value, step)

    def write_text(self, name: str, text: str, step: int) -> None:
        self._events.add_text(name, f"```\n{text}\n```", step)

    def close(self) -> None:
        self._file.close()
        self._events.close()


def forget_from(next_step: int, path: Path) -> None:
    """Remove the records from ``next_step`` on and an incomplete last line."""
    kept = [record for record in read_json_lines(path) if record["step"] < next_step]
    path.write_text("".join(json.dumps(record) + "\n" for record in kept))
