"""Training jobs: separate processes with a folder each, which outlive the page and the server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from santacoder.atomic import replacing
from santacoder.checkpoints import CheckpointError
from santacoder.checkpoints.store import require_branch
from santacoder.errors import UserError
from santacoder.paths import user_path
from train.data.corpus import pinned_packages
from train.json_lines import read_json_lines
from train.run.folder import RunFolder, newest_state

_ROOT = Path(__file__).resolve().parents[1]
# OpenMP threads that wait actively hold up the server's and the browser's: with both at work on the same two cores, a
# step took four times as long
_SHARING_CORES = {"GOMP_SPINCOUNT": "0"}
_NAME = re.compile(r"[0-9]{8}-[0-9]{6}\+*")
State = Literal["running", "finished", "stopped", "failed"]


@dataclass(frozen=True)
class JobRequest:
    """A training job as requested on the page. ``base`` is a revision to fine-tune as REPO@REVISION; empty to train
    from scratch.

    The training data are one or more of ``folder`` (on this machine), ``archive`` (an uploaded file) and ``packages``
    (one per line).

    Raises:
        UserError: something is missing or does not exist; the message is a sentence for the user.
    """

    repo_id: str
    branch: str
    steps: int
    base: str = ""
    size: str = "nano"
    variant: str = "final"
    folder: str = ""
    archive: str = ""
    packages: str = ""

    def __post_init__(self) -> None:
        if not (self.folder or self.archive or self.packages.strip()):
            raise UserError("Choose the training data: a folder, an archive or packages.")
        if self.folder and not user_path(self.folder).is_dir():
            raise UserError(f"{self.folder} is not a folder on the machine that runs this page.")
        pinned_packages(self.packages)
        if self.steps < 1:
            raise UserError(f"Steps must be at least 1, not {self.steps}.")
        try:
            require_branch(self.repo_id, self.branch, Path())
        except CheckpointError as error:
            raise UserError(str(error)) from error


@dataclass(frozen=True)
class Job:
    """The status of a job. ``message`` is its outcome or the last line of its log; ``commit`` is what it published."""

    name: str
    state: State
    message: str
    repo_id: str
    branch: str
    steps: int
    commit: str = ""
    can_resume: bool = False


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

    def start(self, request: JobRequest) -> str:
        """Start a job and return its name.

        Raises:
            OSError: its folder cannot be written.
        """
        name = time.strftime("%Y%m%d-%H%M%S")
        while (self._runs / name).exists():
            name += "+"
        folder = self._runs / name
        folder.mkdir(parents=True)
        self._run(name, _Process(asdict(request), self._command(request, folder)))
        return name

    def resume(self, name: str) -> None:
        """Resume a job from its last saved state, or restart it if there is none."""
        process = self._process(name)
        if process.running is None:
            self._run(name, process)

    def stop(self, name: str) -> None:
        """Ask a job to save its state and stop."""
        running = self._process(name).running
        if running is not None:
            running.terminate()

    def all(self) -> list[Job]:
        """All jobs, newest first. Unreadable jobs are listed as failed, with the reason."""
        names = sorted((path.parent.name for path in self._runs.glob("*/job.json")), reverse=True)
        return [self._job_or_damage(name) for name in names if _NAME.fullmatch(name)]

    def job(self, name: str) -> Job:
        """The status of a job.

        Raises:
            UserError: the job does not exist or cannot be read.
        """
        process, run = self._process(name), RunFolder(self._runs / name)
        request, outcome = process.request, run.outcome()
        where = (request["repo_id"], request["branch"], request["steps"])
        if process.running is not None:
            return Job(name, "running", "", *where)
        if outcome is None:  # killed, or rejected before it started
            return Job(name, "failed", _last_line(run.path / "log.txt"), *where, can_resume=True)
        can_resume = outcome.state != "finished"
        return Job(name, outcome.state, outcome.message, *where, commit=outcome.commit, can_resume=can_resume)

    def metrics(self, name: str) -> list[dict[str, float]]:
        """The records of a job's ``metrics.jsonl``; invalid lines are skipped."""
        return [
            record
            for record in _records(RunFolder(self._runs / name).metrics)
            if "step" in record and all(isinstance(value, (int, float)) for value in record.values())
        ]

    def latest_sample(self, name: str) -> str:
        """The model's latest sample during training, with its prompt."""
        for record in reversed(_records(RunFolder(self._runs / name).samples)):
            match record:
                case {"step": int(step), "prompt": str(prompt), "text": str(text)}:
                    return f"# step {step + 1}\n{prompt}{text}"
        return ""

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
                cwd=_ROOT,
                env={**_SHARING_CORES, **os.environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        threading.Thread(target=started.wait, daemon=True).start()
        began = psutil.Process(started.pid).create_time()
        document = asdict(_Process(process.request, process.command, started.pid, began))
        with replacing(folder / "job.json") as file:
            file.write(json.dumps(document, indent=1).encode())

    def _process(self, name: str | None) -> _Process:
        if not name or not _NAME.fullmatch(name):  # the command in a job's file is run, so the file must be in ``runs``
            raise UserError(f"There is no job {(name or '')[:40]!r}.")
        return _Process.read(self._runs / name / "job.json")

    def _command(self, request: JobRequest, folder: Path) -> list[str]:
        command = [sys.executable, "-m", "train", "--output", str(folder.resolve()), "--steps", str(request.steps)]
        command += ["--store", str(self._store.resolve()), "--publish", request.repo_id, "--branch", request.branch]
        if request.base:
            command += ["--from", request.base]
        else:
            command += ["--size", request.size, "--variant", request.variant]
        often = str(min(request.steps, max(10, request.steps // 20)))
        command += ["--validate-every", often, "--save-every", often]
        if request.folder:
            command += ["--folder", str(user_path(request.folder).resolve())]
        if request.archive:
            kept = folder / "upload" / Path(request.archive).name  # uploads are deleted after a while
            kept.parent.mkdir()
            shutil.copyfile(request.archive, kept)
            command += ["--archive", str(kept.resolve())]
        if request.packages.strip():
            manifest = folder / "packages.txt"
            manifest.write_text("\n".join(pinned_packages(request.packages)), encoding="ascii")
            command += ["--requirements", str(manifest.resolve())]
        return command


def _records(path: Path) -> list[dict[str, Any]]:
    """The objects in a JSON lines file; lines damaged by a full disk or an editor are skipped."""
    try:
        return read_json_lines(path, skip_damaged=True)
    except OSError:
        return []


def _last_line(log: Path) -> str:
    """The last line of the log without progress bars, normally a sentence."""
    lines = log.read_text(errors="replace").replace("\r", "\n").splitlines() if log.exists() else []
    return next((line for line in reversed(lines) if line.strip()), "The job ended without a message.")
