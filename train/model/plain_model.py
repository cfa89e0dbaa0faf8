"""The trained model in its ordinary form: unsharded, low-rank updates merged, without training hooks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from santacoder.model import SantaCoder
from train.core.distributed import World


@torch.no_grad()
def plain_model(model: SantaCoder, world: World) -> SantaCoder | None:
    """A model in evaluation mode that shares the weights of ``model``; sharded weights are gathered on the CPU.

    All processes must call this; the first one gets the model, the others None.
    """
    with torch.device("meta"):
        plain = SantaCoder(model.config)
    weights = {}
    for name in plain.state_dict():
        module, _, leaf = name.rpartition(".")
        weight: Tensor = getattr(model.get_submodule(module), leaf).detach()  # merges a low-rank update
        weights[name] = weight.full_tensor().cpu() if isinstance(weight, DTensor) else weight
    if not world.is_first:
        return None
    plain.load_state_dict(weights, assign=True)
    return plain.eval()
