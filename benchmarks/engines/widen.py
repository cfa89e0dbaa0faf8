"""A model of the published 1.1 B shape that writes what a small model writes, so that engines are compared at the size
of the one and on the texts of the other: how much of a text can be drafted depends on what it says.

The small model's numbers are put into larger matrices of zeros. Layer normalisation divides by the spread over all
values of a position, so whatever is added to a position gets a mean of zero, which changes nothing in the small model,
and the weights of the normalisation are scaled by the square root of the ratio of the widths. Only the token embedding
keeps its mean, because it is also the output layer. With santacoder/mini, 99 % of the greedy tokens are the same.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from santacoder.config import SantaCoderConfig
from santacoder.model import SantaCoder

_UNLIKELY = -100.0


def widened(small: SantaCoder, config: SantaCoderConfig) -> SantaCoder:
    """``small`` in the larger shape ``config``; both have multi-query attention and tied embeddings."""
    ratio = config.n_embd / small.config.n_embd
    # the same numbers are divided by the root of a smaller variance
    epsilon = small.config.layer_norm_epsilon / ratio
    wide = SantaCoder(SantaCoderConfig(**{**vars(config), "layer_norm_epsilon": epsilon}))
    given = {name: weight.float() for name, weight in small.state_dict().items()}
    weights = {name: torch.zeros_like(weight) for name, weight in wide.state_dict().items()}
    for name, weight in given.items():
        if name.endswith("attn.c_attn.weight"):
            _put_heads(weights[name], weight, small.config, config)
        elif name.endswith("attn.c_attn.bias"):
            _put_heads(weights[name][:, None], weight[:, None], small.config, config)
        elif name.endswith("attn.c_proj.weight"):
            _put_heads(weights[name].T, _centred(weight).T, small.config, config, scales_query=False)
        elif ".ln_" in name:
            weights[name][: len(weight)] = weight / math.sqrt(ratio) if name.endswith("weight") else weight
        elif name.endswith("mlp.c_fc.weight") or name.endswith("mlp.c_fc.bias") or name.endswith("wte.weight"):
            weights[name][tuple(map(slice, weight.shape))] = weight
        else:  # what is added to a position
            centred = _centred(weight.T).T if name.endswith("wpe.weight") else _centred(weight)
            weights[name][tuple(map(slice, weight.shape))] = centred
    _exclude_more_tokens(weights, small.config)
    wide.load_state_dict(weights)
    return wide


def _centred(weight: Tensor) -> Tensor:
    """``weight`` with a mean of zero over its first dimension, the values of a position."""
    return weight - weight.mean(0)


def _put_heads(
    wide: Tensor, narrow: Tensor, small: SantaCoderConfig, large: SantaCoderConfig, *, scales_query: bool = True
) -> None:
    """Write the rows of ``narrow``, query heads and behind them a key and a value, to the places of the larger heads.
    Queries are scaled, because scores are divided by the root of the head's size."""
    scale = math.sqrt(large.head_dim / small.head_dim) if scales_query else 1.0
    n_parts = narrow.shape[0] // small.head_dim
    for part in range(n_parts):
        is_query = part < small.n_head
        place = part if is_query else large.n_head + part - small.n_head
        rows = narrow[part * small.head_dim : (part + 1) * small.head_dim]
        start = place * large.head_dim
        wide[start : start + small.head_dim, : narrow.shape[1]] = rows * (scale if is_query else 1.0)


def _exclude_more_tokens(weights: dict[str, Tensor], small: SantaCoderConfig) -> None:
    """Give the tokens that the small model lacks a low logit, in a place where every other token has zero."""
    place = small.n_embd
    weights["transformer.ln_f.bias"][place] = 1.0
    weights["transformer.wte.weight"][small.vocab_size :, place] = _UNLIKELY
