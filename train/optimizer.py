"""The optimisers and the learning rate of a step."""

from __future__ import annotations

import math

import torch
from torch import nn

from train.config import TrainConfig

WSD_DECAY = 0.3  # share of the steps


def make_optimizers(model: nn.Module, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """AdamW over everything; with ``optimizer: muon``, Muon over the blocks' matrices and AdamW over the rest.

    Weight decay holds for matrices only, not for biases and LayerNorms. Muon (Jordan et al. 2024) orthogonalises
    each update; its step is scaled to AdamW's root mean square (Liu et al., arXiv 2502.16982), so that one learning
    rate serves both. Parameters that are frozen have no optimiser.
    """
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    matrices = [parameter for name, parameter in trained.items() if parameter.dim() == 2 and ".h." in name]
    embeddings = [parameter for name, parameter in trained.items() if parameter.dim() == 2 and ".h." not in name]
    vectors = [parameter for parameter in trained.values() if parameter.dim() == 1]
    for_adamw = embeddings if config.optimizer == "muon" else matrices + embeddings
    groups = [
        {"params": for_adamw, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizers: list[torch.optim.Optimizer] = []
    if groups := [group for group in groups if group["params"]]:
        betas = (config.beta1, config.beta2)
        optimizers.append(torch.optim.AdamW(groups, lr=config.learning_rate, betas=betas, eps=1e-8, fused=True))
    if config.optimizer == "muon":
        optimizers.append(
            torch.optim.Muon(
                matrices, lr=config.learning_rate, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw"
            )
        )
    return optimizers


def learning_rate(step: int, config: TrainConfig) -> float:
    """Linear warm-up to the peak, then by ``config.schedule``.

    ``cosine``: down to a tenth at the last step. ``wsd`` (warm-up, stable, decay): constant, then down to 0 with one
    minus the root of the share of the decay that is done (Hägele et al., arXiv 2405.18392).
    """
    warmup = max(1, round(config.steps * config.warmup_fraction))
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    if config.schedule == "wsd":
        decay = max(1, round(config.steps * WSD_DECAY))
        progress = max(0.0, (step - (config.steps - decay)) / decay)
        return config.learning_rate * (1 - math.sqrt(progress))
    progress = (step - warmup) / max(1, config.steps - warmup)
    return config.learning_rate * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * progress)))
