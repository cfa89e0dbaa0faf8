"""Everything a run needs to go on exactly where it was, in one file that is never half written."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from santacoder.atomic import replacing
from santacoder.model import SantaCoder
from train.config import TrainConfig


@dataclass(frozen=True)
class RunFolder:
    """``config.json`` says what the run is, ``state.pt`` how far it is, ``metrics.jsonl`` how it went."""

    path: Path

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def state(self) -> Path:
        return self.path / "state.pt"

    def require_new(self) -> None:
        """
        Raises:
            ValueError: the folder already holds a run.
        """
        if self.state.exists():
            raise ValueError(f"{self.path} already holds a run: go on with --resume, or choose another --output.")

    def begin(self, config: TrainConfig) -> None:
        """Start a new run here.

        Raises:
            ValueError: the folder already holds a run.
        """
        self.require_new()
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "config.json").write_text(json.dumps(asdict(config), indent=1))

    def config(self) -> TrainConfig:
        """The settings the run was started with.

        Raises:
            ValueError: there is no run in the folder.
        """
        try:
            return TrainConfig(**json.loads((self.path / "config.json").read_text()))
        except FileNotFoundError as error:
            raise ValueError(f"There is no run to resume in {self.path}.") from error
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.path / 'config.json'} is not the configuration of a run: {error}.") from error

    def save(self, step: int, model: SantaCoder, optimizers: list[torch.optim.Optimizer]) -> None:
        """Keep the state after ``step`` steps in place of the last one.

        Raises:
            OSError: the disk is full; the state saved before is intact.
        """
        state = {
            "step": step,
            "model": model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        }
        try:
            with replacing(self.state) as file:
                torch.save(state, file)
        except RuntimeError as error:  # how torch reports that a write failed
            raise OSError(str(error)) from error

    def restore(self, model: SantaCoder, optimizers: list[torch.optim.Optimizer]) -> int:
        """Load the saved state and return the number of steps done; 0 where the run had saved none yet."""
        if not self.state.exists():
            return 0
        state = torch.load(self.state, weights_only=True)
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        return state["step"]
