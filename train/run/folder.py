"""The folder of a run, with everything needed to resume, evaluate and reproduce it.

``config.json`` has the settings, ``environment.json`` the software and hardware, ``data/`` the data (if packed for this
run), ``states/`` the saved states; ``metrics.jsonl``, ``samples.jsonl`` and ``tensorboard/`` record the progress, and
``outcome.json`` how the run ended.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from santacoder.atomic import replacing
from santacoder.errors import UserError
from train.config import TrainConfig


@dataclass(frozen=True)
class Outcome:
    """How a run ended. ``message`` is a sentence for the user; ``commit`` is the published commit, if any."""

    state: Literal["finished", "stopped", "failed"]
    message: str
    commit: str = ""


@dataclass(frozen=True)
class RunFolder:
    path: Path

    @property
    def states(self) -> Path:
        return self.path / "states"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def samples(self) -> Path:
        return self.path / "samples.jsonl"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def data(self) -> Path:
        return self.path / "data"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the folder against other training processes; the lock is released even if the process is killed.

        Raises:
            UserError: another process is training here.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.path / ".lock", timeout=0):
                yield
        except Timeout as error:
            raise UserError(
                f"Another process is training in {self.path}: wait until it ends, or choose another --output."
            ) from error

    def require_new(self) -> None:
        """Check that the folder can be used for a new run.

        Raises:
            UserError: the folder has a run with saved states.
        """
        if newest_state(self.states) is not None:
            raise UserError(
                f"{self.path} already contains a run: continue it with --resume, or choose another --output."
            )

    def link_data(self, data: Path) -> None:
        """Make ``data/`` a link to a folder that was packed earlier."""
        if self.data.resolve() != data.resolve():
            self.unlink_data()
            shutil.rmtree(self.data, ignore_errors=True)  # data of a run that never started
            self.data.symlink_to(data.resolve())

    def unlink_data(self) -> None:
        if self.data.is_symlink():
            self.data.unlink()

    def begin(self, config: TrainConfig) -> None:
        """Write the settings and the environment, and remove an earlier outcome."""
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "outcome.json").unlink(missing_ok=True)
        _write_json(self.path / "config.json", asdict(config))
        _write_json(self.path / "environment.json", environment())

    def config(self) -> TrainConfig:
        """The settings that the run was started with.

        Raises:
            UserError: the folder has no run.
        """
        try:
            return TrainConfig(**json.loads((self.path / "config.json").read_text()))
        except FileNotFoundError as error:
            raise UserError(f"There is no run to resume in {self.path}.") from error
        except (TypeError, ValueError) as error:
            raise UserError(f"{self.path / 'config.json'} is not a valid run configuration: {error}.") from error

    def finish(self, outcome: Outcome) -> None:
        _write_json(self.path / "outcome.json", asdict(outcome))

    def outcome(self) -> Outcome | None:
        """How the run ended; None if it has not ended, was killed, or left a damaged file."""
        try:
            match json.loads((self.path / "outcome.json").read_text()):
                case {
                    "state": "finished" | "stopped" | "failed" as state,
                    "message": str(message),
                    "commit": str(commit),
                }:
                    return Outcome(state, message, commit)
        except (OSError, ValueError, RecursionError):
            pass
        return None


def environment() -> dict[str, Any]:
    """The environment of a run: command, commit of the code, versions and machine."""
    import torch

    packages = {name: version(name) for name in ("numpy", "tokenizers", "safetensors")}
    return {
        "command": sys.argv,
        "git_commit": _git("rev-parse", "HEAD"),
        "git_changes": _git("status", "--porcelain").splitlines(),
        "python": platform.python_version(),
        "packages": {"torch": torch.__version__, **packages},  # its metadata may lack the build, such as +cu130
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "gpus": [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())],
    }


def _git(*arguments: str) -> str:
    """Output of a git command on this code; empty without git or outside a repository."""
    try:
        result = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return result.stdout.strip()


def _write_json(path: Path, document: dict[str, Any]) -> None:
    with replacing(path) as file:
        file.write(json.dumps(document, indent=1).encode())


def complete_states(folder: Path) -> list[Path]:
    """The folders of the complete states in ``folder``, oldest first."""
    return sorted(folder.glob("step-*"))


def newest_state(folder: Path) -> Path | None:
    """The folder of the newest complete state, or None."""
    states = complete_states(folder)
    return states[-1] if states else None


def state_name(step: int) -> str:
    return f"step-{step:08d}"


def steps_done(state: Path) -> int:
    """The number of steps after which a state was saved."""
    return int(state.name.removeprefix("step-"))
