"""Reporting of a run: metrics, samples and the progress bar.

Metrics are written in two formats: JSON lines for programs and TensorBoard event files for people. TensorBoard's files
are in the run folder, are only appended to, need no server, and can be read by most tools that plot curves.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from santacoder.atomic import replacing
from train.config import TrainConfig
from train.core.distributed import World
from train.core.optimizer import learning_rate
from train.json_lines import read_json_lines
from train.run.folder import RunFolder


class Log:
    """Writes metrics and samples, in the first process only; ``latest_validation`` is kept by all processes."""

    def __init__(self, run: RunFolder, config: TrainConfig, first_step: int, world: World) -> None:
        self._config = config
        self._run = run
        self._metrics = Metrics(run.metrics, run.tensorboard, next_step=first_step) if world.is_first else None
        if world.is_first:
            forget_from(first_step, run.samples)
        self._progress = tqdm(
            initial=first_step, total=config.steps, desc="training", unit=" steps", mininterval=1.0,
            disable=not world.is_first,
        )  # fmt: skip
        self.last_validated = -1
        self.latest_validation: dict[str, float] = {}

    def step(self, step: int, loss: float, gradient_norm: float, seconds: float, waited: float) -> None:
        tokens_per_second = round(self._config.tokens_per_step / seconds)
        if self._metrics:
            self._metrics.write(
                step=step,
                loss=loss,
                learning_rate=learning_rate(step, self._config),
                gradient_norm=gradient_norm,
                seconds=round(seconds, 4),
                tokens_per_second=tokens_per_second,
                waiting_for_data=round(waited / seconds, 4),
            )
        self._progress.set_postfix_str(f"loss {loss:.3f}, {tokens_per_second:,} tokens/s", refresh=False)
        self._progress.update()

    def validation(self, step: int, metrics: dict[str, float], written: tuple[str, str]) -> None:
        self.last_validated, self.latest_validation = step, metrics
        if self._metrics:
            self._metrics.write(step=step, **metrics)
            prompt, text = written
            if prompt:
                self._metrics.write_text("sample", prompt + text, step)
                with self._run.samples.open("a") as file:
                    file.write(json.dumps({"step": step, "prompt": prompt, "text": text}) + "\n")

    def has_validation(self, step: int, world: World) -> bool:
        """Whether the validation after ``step`` is in the metrics that the first process keeps."""
        records = read_json_lines(self._run.metrics) if world.is_first else []
        return world.total(any(record["step"] == step and "validation_loss" in record for record in records))[0] > 0

    def close(self) -> None:
        self._progress.close()
        if self._metrics:
            self._metrics.close()


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
    """Remove the records from ``next_step`` on and an incomplete last line; all of them at step 0."""
    kept = [record for record in read_json_lines(path) if record["step"] < next_step] if next_step else []
    with replacing(path) as file:
        file.write("".join(json.dumps(record) + "\n" for record in kept).encode())
