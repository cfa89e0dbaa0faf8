"""One training step: forward, backward, gradient clipping and update, with micro-batches and several processes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.utils.checkpoint import checkpoint

from santacoder.model import SantaCoder
from train.config import TrainConfig
from train.core.distributed import World, divide, gradients_synchronised
from train.core.loss import IGNORED_TARGET, summed_next_token_loss
from train.core.optimizer import make_optimizers, share_of_peak
from train.core.precision import multiplied_in


class NotFinite(Exception):
    """The loss or its gradient is not finite."""


class SummedLoss(nn.Module):
    """The model and its loss as one module, so that DDP and FSDP see all of the computation."""

    def __init__(self, model: SantaCoder, dtype: torch.dtype) -> None:
        super().__init__()
        self.model = model
        self._dtype = dtype

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy in nats, summed over the targets that are not ignored; both arguments [B, T] int64."""
        with torch.autocast(inputs.device.type, self._dtype, enabled=self._dtype != torch.float32):
            hidden_states = self.model.transformer(inputs)
        return summed_next_token_loss(hidden_states.to(self._dtype), self.model.output_weight, targets)


@dataclass(frozen=True)
class Training:
    """The training state: the model, its loss module as distributed, the optimisers and the loss scaler."""

    model: SantaCoder
    summed_loss: nn.Module
    optimizers: list[torch.optim.Optimizer]
    scaler: torch.amp.GradScaler


def prepare(model: SantaCoder, config: TrainConfig, world: World) -> Training:
    """Move ``model`` to its device and apply compilation, activation checkpointing and sharding according to
    ``config``.
    """
    model.to(world.device)
    for block in model.transformer.h:
        if config.activation_checkpointing:
            # a wrapper module would change the parameters' names
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)
        if config.compile:
            block.compile()
    dtype = multiplied_in(config.precision, world.device)
    summed_loss = divide(SummedLoss(model, dtype), model, config, world)
    scaler = torch.amp.GradScaler(world.device.type, enabled=config.precision == "fp16")
    return Training(model, summed_loss, make_optimizers(model, config), scaler)


def training_step(
    training: Training, batch: tuple[Tensor, Tensor], step: int, config: TrainConfig, world: World
) -> tuple[float, float]:
    """Update the model. Returns the loss before the update, in nats per token, and the gradient norm before clipping.

    ``batch`` is this process's share; the loss is that of the whole batch, averaged over its tokens.

    Raises:
        NotFinite: the loss or the gradient is not finite; the model is unchanged.
    """
    if config.dropout:
        torch.manual_seed(hash((config.seed, step, world.rank)))
    targets = batch[1]
    (n_targets,) = world.total(int((targets != IGNORED_TARGET).sum()))
    loss = _backward(training, batch, max(1, n_targets), config, world)
    for optimizer in training.optimizers:
        training.scaler.unscale_(optimizer)
    norm = _clip(training.model, config.gradient_clip)
    overflow = not math.isfinite(norm)
    if not math.isfinite(loss) or (overflow and not training.scaler.is_enabled()):
        raise NotFinite(f"The {'gradient' if math.isfinite(loss) else 'loss'} is not a number")
    for optimizer in training.optimizers:
        # GradScaler would skip only the optimiser whose gradient overflowed. All optimisers update one model, so all of
        # them skip the step; the scale decreases in either case.
        if not overflow:
            _step(training, optimizer, share_of_peak(step, config))
        optimizer.zero_grad()
    training.scaler.update()
    return loss, norm


def _step(training: Training, optimizer: torch.optim.Optimizer, share: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * share
    training.scaler.step(optimizer)


def micro_batches(batch: tuple[Tensor, Tensor], size: int) -> list[tuple[Tensor, Tensor]]:
    """Split ``batch`` into parts of at most ``size`` sequences; a ``size`` of 0 gives one part."""
    inputs, targets = batch
    return list(zip(inputs.split(size or len(inputs)), targets.split(size or len(targets)), strict=True))


def _backward(
    training: Training, batch: tuple[Tensor, Tensor], n_targets: float, config: TrainConfig, world: World
) -> float:
    """Compute the gradient of the mean loss over all processes, and return that loss."""
    parts = micro_batches(batch, config.micro_batch_size)
    total = torch.zeros((), device=world.device)
    for number, (inputs, targets) in enumerate(parts, start=1):
        with gradients_synchronised(training.summed_loss, number == len(parts)):
            loss = training.summed_loss(
                inputs.to(world.device, non_blocking=True), targets.to(world.device, non_blocking=True)
            )
            # gradients are averaged over the processes, but the loss is a sum over them
            training.scaler.scale(loss * (world.size / n_targets)).backward()
        total += loss.detach()
    return world.total(total.item())[0] / n_targets


def _clip(model: nn.Module, largest: float) -> float:
    norm = torch.nn.utils.clip_grad_norm_((p for p in model.parameters() if p.requires_grad), largest)
    return (norm.full_tensor() if isinstance(norm, DTensor) else norm).item()
