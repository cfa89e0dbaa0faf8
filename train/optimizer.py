"""The optimisers and the learning rate of a step."""

from __future__ import annotations

import math

import torch

from santacoder.model import SantaCoder
from train.config import TrainConfig


def make_optimizers(model: SantaCoder, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """AdamW over everything; with ``optimizer: muon``, Muon over the blocks' matrices and AdamW over the rest.

    Weight decay holds for matrices only, not for biases and LayerNorms. Muon (Jordan et al. 2024) orthogonalises
    each update; its step is scaled to AdamW's root mean square (Liu et al., arXiv 2502.16982), so that one learning
    rate serves both.
    """
    matrices = [p for name, p in model.named_parameters() if p.dim() == 2 and ".h." in name]
    embeddings = [model.transformer.wte.weight, model.transformer.wpe.weight]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    betas = (config.beta1, config.beta2)
    undecayed = {"params": vectors, "weight_decay": 0.0}
    if config.optimizer == "adamw":
        decayed = {"params": matrices + embeddings, "weight_decay": config.weight_decay}
        return [torch.optim.AdamW([decayed, undecayed], lr=config.learning_rate, betas=betas, eps=1e-8)]
    decayed = {"params": embeddings, "weight_decay": config.weight_decay}
    return [
        torch.optim.AdamW([decayed, undecayed], lr=config.learning_rate, betas=betas, eps=1e-8),
        torch.optim.Muon(
            matrices, lr=config.learning_rate, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw"
        ),
    ]


def learning_rate(step: int, config: TrainConfig) -> float:
    """Linear warm-up to the peak, then a cosine down to a tenth of it at the last step."""
    warmup = max(1, round(config.steps * config.warmup_fraction))
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, config.steps - warmup)
    return config.learning_rate * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * progress)))
