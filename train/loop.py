"""The training loop."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from santacoder.fim import FimTransform
from santacoder.model import SantaCoder
from train.batches import Batches
from train.config import TrainConfig
from train.data.pack import PackedData
from train.loss import next_token_loss
from train.metrics import MetricsLog
from train.optimizer import learning_rate, make_optimizers
from train.run_state import RunFolder


@dataclass(frozen=True)
class Trained:
    """A finished run: the model, the tokens it read and its last validation loss in nats per token."""

    model: SantaCoder
    tokens: int
    validation_loss: float


def train(config: TrainConfig, data: PackedData, output: Path, *, resume: bool = False) -> Trained:
    """Run ``config`` on ``data``, keeping state and metrics in ``output``.

    Killed at any moment and resumed, it goes on from the last saved state and computes what it would have computed:
    batches depend on seed and step alone, and nothing else is random after the initialisation.

    Raises:
        ValueError: the corpus is too small, ``output`` holds another run, or there is none to resume.
        OSError: the disk is full; the last saved state is intact.
    """
    run = RunFolder(output)
    if resume:
        config = run.config()
    else:
        run.begin(config)
    torch.manual_seed(config.seed)
    model = SantaCoder(config.model_config(data.tokenizer.vocab_size)).to(config.device)
    optimizers = make_optimizers(model, config)
    first_step = run.restore(model, optimizers)
    fim = FimTransform(data.tokenizer, config.fim_rate, config.spm_rate)
    batches = Batches(data.train, config.sequence_length, config.batch_size, config.seed, fim)
    progress = tqdm(initial=first_step, total=config.steps, desc="training", unit=" steps", mininterval=1.0)
    with closing(MetricsLog(run.metrics, next_step=first_step)) as metrics, progress:
        for step in range(first_step, config.steps):
            started = time.perf_counter()
            loss, gradient_norm = _training_step(model, optimizers, batches.at(step), step, config)
            tokens_per_second = round(config.tokens_per_step / (time.perf_counter() - started))
            metrics.write(
                step=step,
                loss=loss,
                learning_rate=learning_rate(step, config),
                gradient_norm=gradient_norm,
                tokens_per_second=tokens_per_second,
            )
            if (step + 1) % config.validate_every == 0:
                metrics.write(step=step, validation_loss=evaluate(model, data.validation, config))
            if (step + 1) % config.save_every == 0 or step + 1 == config.steps:
                run.save(step + 1, model, optimizers)
            progress.set_postfix_str(f"loss {loss:.3f}, {tokens_per_second:,} tokens/s", refresh=False)
            progress.update()
    return Trained(model, config.steps * config.tokens_per_step, evaluate(model, data.validation, config))


@torch.no_grad()
def evaluate(model: SantaCoder, tokens: np.ndarray, config: TrainConfig) -> float:
    """Mean loss in nats per token over ``validation_batches`` batches spread evenly over ``tokens``, without FIM."""
    length = min(config.sequence_length, len(tokens) - 1)
    if length < 1:
        raise ValueError("The held-out package has fewer than two tokens: name a folder with larger files.")
    windows = min(config.validation_batches * config.batch_size, (len(tokens) - 1) // length)
    starts = np.linspace(0, len(tokens) - 1 - length, windows).astype(int)
    losses = []
    for chunk in np.array_split(starts, -(-windows // config.batch_size)):
        rows = np.stack([tokens[start : start + length + 1] for start in chunk]).astype(np.int64)
        losses.append(_loss(model, torch.from_numpy(rows[:, :-1]), torch.from_numpy(rows[:, 1:]), config) * len(chunk))
    return float(sum(losses)) / windows


def _training_step(
    model: SantaCoder,
    optimizers: list[torch.optim.Optimizer],
    batch: tuple[Tensor, Tensor],
    step: int,
    config: TrainConfig,
) -> tuple[float, float]:
    """Loss before the update in nats per token, and the norm of the gradient before clipping."""
    loss = _loss(model, *batch, config)
    loss.backward()
    gradient_norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config)
        optimizer.step()
        optimizer.zero_grad()
    return loss.item(), gradient_norm.item()


def _loss(model: SantaCoder, inputs: Tensor, targets: Tensor, config: TrainConfig) -> Tensor:
    with torch.autocast(config.device, torch.bfloat16, enabled=config.precision == "bf16"):
        hidden_states = model.transformer(inputs.to(config.device))
    if config.precision == "bf16":
        hidden_states = hidden_states.bfloat16()
    return next_token_loss(hidden_states, model.transformer.wte.weight, targets.to(config.device))
