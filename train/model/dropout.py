"""Dropout during training, as hooks, so that the model itself, which also serves, does not contain it."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from santacoder.model import Block, SantaCoder


def add_dropout(model: SantaCoder, probability: float) -> None:
    """Apply dropout to the embeddings and to what each attention and MLP adds to the residual stream.

    Unlike in the training of GPT-2 and of the paper, attention weights have no dropout: fused kernels never materialise
    them.
    """

    def drop_input(module: nn.Module, arguments: tuple[Tensor, Any]) -> tuple[Tensor, Any]:
        return F.dropout(arguments[0], probability, module.training), *arguments[1:]

    def drop_output(module: nn.Module, _: Any, output: Tensor) -> Tensor:
        return F.dropout(output, probability, module.training)

    model.transformer.h[0].register_forward_pre_hook(drop_input)
    for block in model.transformer.h:
        assert isinstance(block, Block)
        block.attn.register_forward_hook(drop_output)
        block.mlp.register_forward_hook(drop_output)
