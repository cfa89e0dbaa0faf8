"""What would be learned from the data of a training job: how many files remain, and why others do not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.training_request import CODE_FOLDER, SHARING_CORES, JobRequest, training_command
from santacoder.errors import UserError
from train.run.folder import RunFolder

_SECONDS = 120
_checking = threading.Lock()

Report = dict[str, Any]
"""The content of ``report.json`` (``train/data/report.py``)."""


def check_data(request: JobRequest, runs: Path, store: Path) -> Report:
    """Prepare the data of ``request`` as a job would, in a temporary folder in ``runs``.

    Raises:
        UserError: they cannot be used, another check is in progress, or it takes longer than two minutes.
    """
    if not _checking.acquire(blocking=False):
        raise UserError("Other files are being checked; try again in a moment.")
    try:
        runs.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".check-", dir=runs) as folder:
            _prepare([*training_command(request, Path(folder), store), "--prepare"])
            report = read_report(Path(folder))
    finally:
        _checking.release()
    if report is None:
        raise UserError("The files were read, but the report about them is missing.")
    return report


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


def _prepare(command: list[str]) -> None:
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
    try:
        _, said = process.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise UserError(
            f"Reading the files takes longer than {_SECONDS} seconds. Start the training without a check, or choose "
            "fewer files."
        ) from error
    if process.returncode:
        raise UserError(last_line(said))
