"""Low-rank updates (LoRA; Hu et al., arXiv 2106.09685): W + (alpha / r) B A, where only A and B are trained.

``peft`` would do the same but depends on transformers and accelerate; with PyTorch's parametrizations, this file is
enough.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn.utils import parametrize

from santacoder.adapters import PREFIX
from santacoder.errors import UserError
from santacoder.model import SantaCoder

ALPHA_PER_RANK = 2.0


class LowRankUpdate(nn.Module):
    """Adds B [out, r] @ A [r, in], scaled, to a matrix [out, in]. B is initialised to zero, so that training starts
    from the original matrix.
    """

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.empty(rank, weight.shape[1]))
        self.b = nn.Parameter(torch.zeros(weight.shape[0], rank))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        return torch.addmm(weight, self.b, self.a, alpha=ALPHA_PER_RANK)


def add_updates(model: SantaCoder, rank: int) -> None:
    """Freeze ``model`` and add a trainable update to every matrix of its blocks.

    Raises:
        UserError: ``rank`` is not smaller than the smallest matrix.
    """
    linears = [module for module in model.transformer.h.modules() if isinstance(module, nn.Linear)]
    largest = min(min(linear.weight.shape) for linear in linears) - 1
    if rank > largest:
        raise UserError(f"lora_rank {rank} is too high for this model: use at most {largest}.")
    model.requires_grad_(False)
    for linear in linears:
        parametrize.register_parametrization(linear, "weight", LowRankUpdate(linear.weight, rank))


def adapter_tensors(model: SantaCoder) -> dict[str, Tensor]:
    """The factors of the updates, by the names that peft gives them; sharded ones are gathered, by all processes."""
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, LowRankUpdate):
            matrix = name.removesuffix(".parametrizations.weight.0")
            for letter, factor in (("A", module.a), ("B", module.b)):
                tensor = factor.detach()
                whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
                found[f"{PREFIX}{matrix}.lora_{letter}.weight"] = whole.float().cpu().contiguous()
    return found
