"""Optimisers and the learning rate schedule."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from train.config import TrainConfig
from train.core.muon import Muon


def make_optimizers(model: nn.Module, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """AdamW for all parameters; with ``optimizer: muon``, Muon for the blocks' matrices and AdamW for the rest.

    Weight decay applies only to matrices, not to biases and LayerNorms. The ``peak`` of each group is its learning rate
    at the top of the schedule: matrices, embeddings and vectors may have different ones. Frozen parameters have no
    optimiser.
    """
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    matrices = [parameter for name, parameter in trained.items() if parameter.dim() == 2 and ".h." in name]
    embeddings = [parameter for name, parameter in trained.items() if parameter.dim() == 2 and ".h." not in name]
    vectors = [parameter for parameter in trained.values() if parameter.dim() == 1]
    peak, decay = config.learning_rate, config.weight_decay
    for_matrices = {"params": matrices, "weight_decay": decay, "peak": peak}
    groups = [
        {"params": embeddings, "weight_decay": decay, "peak": config.embedding_learning_rate or peak},
        {"params": vectors, "weight_decay": 0.0, "peak": config.vector_learning_rate or peak},
    ]
    if config.optimizer == "adamw":
        groups = [for_matrices, *groups]
    optimizers: list[torch.optim.Optimizer] = []
    if groups := [group for group in groups if group["params"]]:
        betas = (config.beta1, config.second_moment_decay)
        optimizers.append(torch.optim.AdamW(groups, lr=peak, betas=betas, eps=1e-8, fused=True))
    if config.optimizer == "muon":
        optimizers.append(Muon([for_matrices], lr=peak))
    return optimizers


def learning_rate(step: int, config: TrainConfig) -> float:
    """The learning rate of the matrices at ``step``."""
    return config.learning_rate * share_of_peak(step, config)


def share_of_peak(step: int, config: TrainConfig) -> float:
    """The learning rate at ``step`` as a fraction of the peak: linear warm-up to 1, then by ``config.schedule``.

    ``cosine``: decay to a tenth at the last step. ``wsd`` (warm-up, stable, decay): constant, then decay in the
    cooldown to ``config.final_rate_fraction``, by default as one minus the square root of the fraction of the cooldown
    done (Hägele et al., arXiv 2405.18392).
    """
    warmup = max(1, config.warmup_steps)
    if step < warmup:
        return (step + 1) / warmup
    if config.schedule == "wsd":
        cooldown = round(config.steps * config.cooldown_fraction)
        progress = max(0.0, (step - (config.steps - cooldown)) / max(1, cooldown))
        final = config.final_rate_fraction
        return final + (1 - final) * _COOLDOWN[config.cooldown_shape](progress)
    progress = (step - warmup) / max(1, config.steps - warmup)
    return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * progress))


_COOLDOWN: dict[str, Callable[[float], float]] = {
    "sqrt": lambda progress: 1 - math.sqrt(progress),
    "linear": lambda progress: 1 - progress,
    "square": lambda progress: (1 - progress) ** 2,
}
