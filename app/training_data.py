"""What would be learned from the data of a training job: how many files remain, and why others do not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.training_request import CODE_FOLDER, SHARING_CORES, JobRequest, training_command
from santacoder.errors import UserError
from train.run.folder import RunFolder

_SECONDS = 120
_SECONDS_BETWEEN_LOOKS = 0.1

Report = dict[str, Any]
"""The content of ``report.json`` (``train/data/report.py``)."""


class CheckEnded(UserError):
    """A check that its visitor ended."""


class Checks:
    """Checks of data, in temporary folders in ``runs``; one at a time."""

    def __init__(self, runs: Path, store: Path) -> None:
        self._runs = runs
        self._store = store
        self._checking = threading.Lock()
        self._visit = ""
        self._ended = threading.Event()

    def check(self, request: JobRequest, visit: str) -> Report:
        """Prepare the data of ``request`` as a job would, for the open page ``visit``.

        Raises:
            CheckEnded: :meth:`end` was called for the same page.
            UserError: they cannot be used, another check is in progress, or it takes longer than two minutes.
        """
        if not self._checking.acquire(blocking=False):
            raise UserError("Other files are being checked; try again in a moment.")
        try:
            self._ended.clear()
            self._visit = visit
            self._runs.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(prefix=".check-", dir=self._runs) as folder:
                _prepare([*training_command(request, Path(folder), self._store), "--prepare"], self._ended)
                report = read_report(Path(folder))
        finally:
            self._visit = ""
            self._checking.release()
        if report is None:
            raise UserError("The files were read, but the report about them is missing.")
        return report

    def end(self, visit: str) -> None:
        """End the check for the open page ``visit``, if it is in progress."""
        if visit == self._visit:
            self._ended.set()


def read_report(run: Path) -> Report | None:
    """The report in the folder of a job; None until its data are prepared."""
    try:
        report: Report = json.loads((RunFolder(run).data / "report.json").read_text())
        return report if report["steps"] else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def last_line(log: str) -> str:
    """The last line of a log without progress bars, normally a sentence."""
    lines = log.replace("\r", "\n").splitlines()
    return next((line for line in reversed(lines) if line.strip()), "The job ended without a message.")


def _prepare(command: list[str], ended: threading.Event) -> None:
    process = subprocess.Popen(
        command,
        cwd=CODE_FOLDER,
        env={**SHARING_CORES, **os.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # so that the processes that it starts can be ended with it
    )
    deadline = time.monotonic() + _SECONDS
    said = None
    while said is None:
        try:
            _, said = process.communicate(timeout=_SECONDS_BETWEEN_LOOKS)
        except subprocess.TimeoutExpired:
            if ended.is_set():
                _kill(process)
                raise CheckEnded("The check was ended.") from None
            if time.monotonic() > deadline:
                _kill(process)
                raise UserError(
                    f"Reading the files takes longer than {_SECONDS} seconds. Start the training without a check, or "
                    "choose fewer files."
                ) from None
    if process.returncode:
        raise UserError(last_line(said))


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill a process and those that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
