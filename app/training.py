"""Training jobs: processes of their own, each with a folder, which outlive the page and the server."""

from __future__ import annotations

import json
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
from train.corpus import pinned_packages
from train.json_lines import read_json_lines
from train.run_folder import RunFolder, newest_state

_ROOT = Path(__file__).resolve().parents[1]
_NAME = re.compile(r"[0-9]{8}-[0-9]{6}\+*")
State = Literal["running", "finished", "stopped", "failed"]


@dataclass(frozen=True)
class JobRequest:
    """What the page asks for. ``base`` is a revision to fine-tune as REPO@REVISION, or empty for a model from scratch.

    One or more of ``folder`` (on this machine), ``archive`` (an uploaded file) and ``packages`` (a line each) say what
    is learned from.

    Raises:
        UserError: something is missing, or names nothing; the message is a sentence for the user.
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
            raise UserError("Say what to learn from: a folder, an archive or packages.")
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
    """A job as it stands. ``message`` is what its end or its log says; ``commit`` what it published."""

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
    """What ``job.json`` keeps; a process is known by its id and by when it began, since ids are used again."""

    request: dict[str, Any]
    command: list[str]
    pid: int = 0
    began: float = 0.0

    @classmethod
    def read(cls, path: Path) -> _Process:
        """
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
                f"The job {path.parent.name} cannot be read, because its {path.name} is damaged; remove its folder "
                "from the folder of runs to be rid of it."
            ) from error
        return process

    @property
    def running(self) -> psutil.Process | None:
        try:
            process = psutil.Process(self.pid)
            alive = process.create_time() == self.began and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.Error, ValueError, OverflowError):  # not there, not ours, or no id at all
            return None
        return process if alive else None


class Jobs:
    """The jobs in ``runs``, which are published to ``store``."""

    def __init__(self, runs: Path, store: Path) -> None:
        self._runs = runs
        self._store = store

    def start(self, request: JobRequest) -> str:
        """Begin a job; the name it goes by.

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
        """Go on with a job from its last saved state, or from its beginning where it has none."""
        process = self._process(name)
        if process.running is None:
            self._run(name, process)

    def stop(self, name: str) -> None:
        """Ask a job to save its state and end."""
        running = self._process(name).running
        if running is not None:
            running.terminate()

    def all(self) -> list[Job]:
        """Every job there has been, newest first. One that cannot be read is there as failed, and says so."""
        names = sorted((path.parent.name for path in self._runs.glob("*/job.json")), reverse=True)
        return [self._job_or_damage(name) for name in names if _NAME.fullmatch(name)]

    def job(self, name: str) -> Job:
        """
        Raises:
            UserError: there is no such job, or it cannot be read.
        """
        process, run = self._process(name), RunFolder(self._runs / name)
        request, outcome = process.request, run.outcome()
        where = (request["repo_id"], request["branch"], request["steps"])
        if process.running is not None:
            return Job(name, "running", "", *where)
        if outcome is None:  # killed, or refused before it began
            return Job(name, "failed", _last_line(run.path / "log.txt"), *where, can_resume=True)
        can_resume = outcome.state != "finished"
        return Job(name, outcome.state, outcome.message, *where, commit=outcome.commit, can_resume=can_resume)

    def metrics(self, name: str) -> list[dict[str, float]]:
        """The records of a job's ``metrics.jsonl``; lines that are none are passed over."""
        return [
            record
            for record in _records(RunFolder(self._runs / name).metrics)
            if "step" in record and all(isinstance(value, (int, float)) for value in record.values())
        ]

    def latest_sample(self, name: str) -> str:
        """The last text the model wrote while it was trained, behind its prompt."""
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
            # a session of its own: what stops the server does not reach it
            started = subprocess.Popen(
                command, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        threading.Thread(target=started.wait, daemon=True).start()
        began = psutil.Process(started.pid).create_time()
        document = asdict(_Process(process.request, process.command, started.pid, began))
        with replacing(folder / "job.json") as file:
            file.write(json.dumps(document, indent=1).encode())

    def _process(self, name: str | None) -> _Process:
        if not name or not _NAME.fullmatch(name):  # what is in the file of a job is run: it must lie in ``runs``
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
            kept = folder / "upload" / Path(request.archive).name  # what was uploaded is not kept for long
            kept.parent.mkdir()
            shutil.copyfile(request.archive, kept)
            command += ["--archive", str(kept.resolve())]
        if request.packages.strip():
            manifest = folder / "packages.txt"
            manifest.write_text("\n".join(pinned_packages(request.packages)), encoding="ascii")
            command += ["--requirements", str(manifest.resolve())]
        return command


def _records(path: Path) -> list[dict[str, Any]]:
    """The objects in a file of JSON lines; what a full disk or an editor made of other lines is passed over."""
    try:
        return read_json_lines(path, skip_damaged=True)
    except OSError:
        return []


def _last_line(log: Path) -> str:
    """The sentence a job ended with, behind its progress bars."""
    lines = log.read_text(errors="replace").replace("\r", "\n").splitlines() if log.exists() else []
    return next((line for line in reversed(lines) if line.strip()), "The job ended without a word.")
