"""The folder of an evaluation run: its settings, its progress and its result."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from santacoder.atomic import replacing
from santacoder.errors import UserError
from train.evaluate.journal import Journal

RESULT_FILE = "result.json"
_SETTINGS_FILE = "settings.json"


@dataclass(frozen=True)
class RunFolder:
    """An open run folder. ``samples`` has an entry for each completion, ``verdicts`` one for each program that was
    run.
    """

    path: Path
    samples: Journal
    verdicts: Journal


@contextmanager
def run_folder(path: Path, settings: dict[str, Any]) -> Iterator[RunFolder]:
    """Open ``path`` for a run with ``settings``, or continue an interrupted run with the same settings.

    Raises:
        UserError: another run is using the folder, or it has a run with other settings, which is not changed.
    """
    path.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise UserError(f"Another run is writing to {path}; wait until it ends, or choose another --output.") from error
    try:
        _require_same(path / _SETTINGS_FILE, settings)
        run = RunFolder(path, Journal(path / "samples.jsonl"), Journal(path / "verdicts.jsonl"))
        try:
            yield run
        finally:
            run.samples.close()
            run.verdicts.close()
    finally:
        lock.release()


def _require_same(path: Path, settings: dict[str, Any]) -> None:
    if not path.exists():
        with replacing(path) as file:
            file.write(json.dumps(settings, indent=1).encode())
        return
    try:
        begun = json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); choose another --output.") from error
    settings = json.loads(json.dumps(settings))  # as they are read back, with lists for tuples
    different = [key for key in {**begun, **settings} if begun.get(key) != settings.get(key)]
    if different:
        told = "; ".join(f"{key}: {begun.get(key)} there, {settings.get(key)} requested" for key in different)
        raise UserError(f"{path.parent} has a run with other settings ({told}); choose another --output.")
