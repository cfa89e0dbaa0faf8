"""Reporting of a run: metrics, samples and the progress bar."""

from __future__ import annotations

import json

from tqdm import tqdm

from train.config import TrainConfig
from train.distributed import World
from train.metrics import Metrics, forget_from
from train.optimizer import learning_rate
from train.run_folder import RunFolder


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

    def close(self) -> None:
        self._progress.close()
        if self._metrics:
            self._metrics.close()
