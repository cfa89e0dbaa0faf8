"""The folder of a run: everything needed to go on with it, to judge it and to repeat it.

``config.json`` says what the run is, ``environment.json`` on what it was computed, ``data/`` (if it was packed for this
run) what from, ``states/`` how far it is, ``metrics.jsonl``, ``samples.jsonl`` and ``tensorboard/`` how it went,
``outcome.json`` how it ended.
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

import torch
from filelock import FileLock, Timeout

from santacoder.atomic import replacing
from santacoder.errors import UserError
from train.config import TrainConfig


@dataclass(frozen=True)
class Outcome:
    """How a run ended. ``message`` is a sentence for the user, ``commit`` what was published."""

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
        """Keep others from training here; a kill lets go as well.

        Raises:
            UserError: another process is training here.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.path / ".lock", timeout=0):
                yield
        except Timeout as error:
            raise UserError(
                f"Another process is training in {self.path}: wait for its end, or choose another --output."
            ) from error

    def require_new(self) -> None:
        """
        Raises:
            UserError: the folder already holds a run that has got somewhere.
        """
        if newest_state(self.states) is not None:
            raise UserError(f"{self.path} already holds a run: go on with --resume, or choose another --output.")

    def link_data(self, data: Path) -> None:
        """Let ``data/`` be a folder packed before."""
        if self.data.resolve() != data.resolve():
            self.unlink_data()
            shutil.rmtree(self.data, ignore_errors=True)  # of a run that never began
            self.data.symlink_to(data.resolve())

    def unlink_data(self) -> None:
        if self.data.is_symlink():
            self.data.unlink()

    def begin(self, config: TrainConfig) -> None:
        """Keep the settings, and say on what they are computed. An earlier outcome holds no longer."""
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "outcome.json").unlink(missing_ok=True)
        _write_json(self.path / "config.json", asdict(config))
        _write_json(self.path / "environment.json", environment())

    def config(self) -> TrainConfig:
        """The settings the run was started with.

        Raises:
            UserError: there is no run in the folder.
        """
        try:
            return TrainConfig(**json.loads((self.path / "config.json").read_text()))
        except FileNotFoundError as error:
            raise UserError(f"There is no run to resume in {self.path}.") from error
        except (TypeError, ValueError) as error:
            raise UserError(f"{self.path / 'config.json'} is not the configuration of a run: {error}.") from error

    def finish(self, outcome: Outcome) -> None:
        _write_json(self.path / "outcome.json", asdict(outcome))

    def outcome(self) -> Outcome | None:
        """How the run ended; None where it has not, was killed, or left a damaged file."""
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
    """What a run is computed by: command, commit of the code, versions, machine."""
    packages = ("torch", "numpy", "tokenizers", "safetensors")
    return {
        "command": sys.argv,
        "git_commit": _git("rev-parse", "HEAD"),
        "git_changes": _git("status", "--porcelain").splitlines(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "gpus": [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())],
    }


def _git(*arguments: str) -> str:
    """What git says of the code; nothing where there is no git or no repository."""
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
    """The folder of the last complete state."""
    states = complete_states(folder)
    return states[-1] if states else None


def state_name(step: int) -> str:
    return f"step-{step:08d}"


def steps_done(state: Path) -> int:
    """How many steps a state comes after."""
    return int(state.name.removeprefix("step-"))
