"""Training jobs: separate processes with a folder each, which outlive the page and the server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from app.training_data import Checks, Report, last_line, read_report
from app.training_request import CODE_FOLDER, SHARING_CORES, JobRequest, training_command
from santacoder import pytorch
from santacoder.atomic import replacing
from santacoder.errors import UserError
from train.json_lines import read_json_lines
from train.run.folder import RunFolder, newest_state

_NAME = re.compile(r"[0-9]{8}-[0-9]{6}\+*")
Metrics = dict[str, float]
"""A record of a step or a validation: values by name, among them ``step``, which begins at 0."""
State = Literal["running", "finished", "stopped", "failed"]


@dataclass(frozen=True)
class Job:
    """The status of a job. ``message`` is its outcome or the last line of its log; ``commit`` is what it published.
    ``is_stopping`` while it runs, but was asked to stop."""

    name: str
    state: State
    message: str
    repo_id: str
    branch: str
    steps: int
    commit: str = ""
    can_resume: bool = False
    is_stopping: bool = False


@dataclass(frozen=True)
class Sample:
    """What the model wrote after ``step`` steps; 0 is the model before the training."""

    step: int
    prompt: str
    text: str


@dataclass(frozen=True)
class _Process:
    """The contents of ``job.json``. A process is identified by its id and start time, because ids are reused."""

    request: dict[str, Any]
    command: list[str]
    pid: int = 0
    began: float = 0.0

    @classmethod
    def read(cls, path: Path) -> _Process:
        """Read the file.

        Raises:
            UserError: the file is damaged.
        """
        try:
            process = cls(**json.loads(path.read_text()))
            where = [process.request[key] for key in ("repo_id", "branch", "steps")]
            if not (
                all(map(isinstance, where, (str, str, int)))
                and all(isinstance(word, str) for word in process.command)
                and isinstance(process.pid, int)
                and isinstance(process.began, (int, float))
            ):
                raise TypeError("a value is of another type")
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise UserError(
                f"The job {path.parent.name} cannot be read because its {path.name} is damaged; to remove the job, "
                "delete its folder from the folder of runs."
            ) from error
        return process

    @property
    def running(self) -> psutil.Process | None:
        try:
            process = psutil.Process(self.pid)
            alive = process.create_time() == self.began and process.status() != psutil.STATUS_ZOMBIE
        # it does not exist, belongs to another user, or the id is invalid
        except (psutil.Error, ValueError, OverflowError):
            return None
        return process if alive else None


class Jobs:
    """The jobs in ``runs``, which publish to ``store``."""

    def __init__(self, runs: Path, store: Path) -> None:
        self._runs = runs
        self._store = store
        self._checks = Checks(runs, store)
        self._stopping: set[int] = set()  # process ids

    def start(self, request: JobRequest) -> str:
        """Start a job and return its name.

        Raises:
            UserError: PyTorch is not installed.
            OSError: its folder cannot be written.
        """
        pytorch.require("Training")
        name = time.strftime("%Y%m%d-%H%M%S")
        while (self._runs / name).exists():
            name += "+"
        folder = self._runs / name
        folder.mkdir(parents=True)
        try:
            self._run(name, _Process(asdict(request), training_command(request, folder, self._store)))
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return name

    def check(self, request: JobRequest, visit: str = "") -> Report:
        """What the data of ``request`` consist of, without starting the job; asked for by the open page ``visit``.

        Raises:
            CheckEnded: :meth:`end_check` was called for this page.
            UserError: they cannot be used, or PyTorch is not installed.
        """
        pytorch.require("Training")
        return self._checks.check(request, visit)

    def end_check(self, visit: str) -> None:
        """End the check that the open page ``visit`` asked for, if it is in progress."""
        self._checks.end(visit)

    def resume(self, name: str) -> None:
        """Resume a job from its last saved state, or restart it if there is none.

        Raises:
            UserError: the job does not exist, or PyTorch is not installed.
        """
        pytorch.require("Training")
        process = self._process(name)
        if process.running is None:
            self._run(name, process)

    def stop(self, name: str) -> None:
        """Ask a job to save its state and stop."""
        running = self._process(name).running
        if running is not None:
            self._stopping.add(running.pid)
            running.terminate()

    def remove(self, name: str) -> None:
        """Delete the folder of a job that has ended; what it published stays.

        Raises:
            UserError: the job does not exist, or is running.
        """
        if self._process(name).running is not None:
            raise UserError(f"The job {name} is running; stop it first.")
        shutil.rmtree(self._runs / name, ignore_errors=True)

    def all(self) -> list[Job]:
        """All jobs, newest first. Unreadable jobs are listed as failed, with the reason."""
        names = sorted((path.parent.name for path in self._runs.glob("*/job.json")), reverse=True)
        return [self._job_or_damage(name) for name in names if _NAME.fullmatch(name)]

    def running(self, repo_id: str) -> str | None:
        """The newest running job that trains ``repo_id``, or None."""
        return next((job.name for job in self.all() if job.state == "running" and job.repo_id == repo_id), None)

    def job(self, name: str) -> Job:
        """The status of a job.

        Raises:
            UserError: the job does not exist or cannot be read.
        """
        process, run = self._process(name), RunFolder(self._runs / name)
        request, outcome = process.request, run.outcome()
        where = (request["repo_id"], request["branch"], request["steps"])
        if process.running is not None:
            return Job(name, "running", "", *where, is_stopping=process.pid in self._stopping)
        if outcome is None:  # killed, or rejected before it started
            return Job(name, "failed", _end_of_log(run.path), *where, can_resume=True)
        can_resume = outcome.state != "finished"
        return Job(name, outcome.state, outcome.message, *where, commit=outcome.commit, can_resume=can_resume)

    def metrics(self, name: str) -> list[Metrics]:
        """The records of a job's ``metrics.jsonl``; invalid lines are skipped."""
        return [
            record
            for record in _records(RunFolder(self._runs / name).metrics)
            if "step" in record and all(isinstance(value, (int, float)) for value in record.values())
        ]

    def samples(self, name: str) -> list[Sample]:
        """What the model wrote during training, oldest first; it is always asked the same."""
        found = []
        for record in _records(RunFolder(self._runs / name).samples):
            match record:
                case {"step": int(step), "prompt": str(prompt), "text": str(text)}:
                    found.append(Sample(step + 1, prompt, text))
        return found

    def data_report(self, name: str) -> Report | None:
        """What the job's training data consist of (``train/data/report.py``); None until they are prepared."""
        return read_report(self._runs / name)

    def _job_or_damage(self, name: str) -> Job:
        try:
            return self.job(name)
        except UserError as error:
            return Job(name, "failed", str(error), "?", "?", 0)

    def _run(self, name: str, process: _Process) -> None:
        folder = self._runs / name
        resuming = newest_state(RunFolder(folder).states) is not None
        command = [*process.command, "--resume"] if resuming else process.command
        with (folder / "log.txt").open("ab") as log:
            # a session of its own, so that signals to the server do not reach it
            started = subprocess.Popen(
                command,
                cwd=CODE_FOLDER,
                env={**SHARING_CORES, **os.environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        threading.Thread(target=started.wait, daemon=True).start()
        self._stopping.discard(started.pid)  # ids are reused
        began = psutil.Process(started.pid).create_time()
        document = asdict(_Process(process.request, process.command, started.pid, began))
        try:
            with replacing(folder / "job.json") as file:
                file.write(json.dumps(document, indent=1).encode())
        except OSError:
            started.kill()  # without its file, nobody could stop it
            raise

    def _process(self, name: str | None) -> _Process:
        if not name or not _NAME.fullmatch(name):  # the command in a job's file is run, so the file must be in ``runs``
            raise UserError(f"There is no job {(name or '')[:40]!r}.")
        return _Process.read(self._runs / name / "job.json")


def _records(path: Path) -> list[dict[str, Any]]:
    """The objects in a JSON lines file; lines damaged by a full disk or an editor are skipped."""
    try:
        return read_json_lines(path, skip_damaged=True)
    except OSError:
        return []


def _end_of_log(folder: Path) -> str:
    try:
        return last_line((folder / "log.txt").read_text(errors="replace"))
    except OSError:
        return last_line("")
