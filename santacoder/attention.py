"""Causal attention over a sequence, with the fastest implementation for the device."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_BLOCK = 128


def causal_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Attention in which each of the last T of S positions attends to itself and all earlier positions.

    With T = 1, ``mask`` [B, 1, 1, S] bool may exclude positions for each row. ``query`` [B, n_head, T, head_dim];
    ``key`` and ``value`` [B, n_kv_head, S, head_dim] with n_kv_head of 1 or n_head and S >= T. Returns [B, n_head, T,
    head_dim].
    """
    n_head, length, total = query.shape[1], query.shape[2], key.shape[2]
    if _blocks_are_faster(query, key):
        return _multi_query_in_blocks(query, key[:, 0], value[:, 0])
    if length == 1 and key.shape[1] == 1:
        # one new token: its heads share the keys, so they can be treated as query positions of a single head
        return F.scaled_dot_product_attention(query.transpose(1, 2), key, value, attn_mask=mask).transpose(1, 2)
    key, value = key.expand(-1, n_head, -1, -1), value.expand(-1, n_head, -1, -1)
    if length == total and mask is None:
        return F.scaled_dot_product_attention(query, key, value, is_causal=True)
    if length == 1:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    # is_causal aligns the mask at the top left, which is wrong if keys precede the first query
    mask = torch.ones(length, total, dtype=torch.bool, device=query.device).tril(total - length)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def _blocks_are_faster(query: Tensor, key: Tensor) -> bool:
    """Whether to compute in blocks: in bf16 on a CPU, PyTorch's flash kernel reaches a tenth of the matrix product's
    speed.

    Measured on two Zen 5 cores with 16 x 512 tokens, 4 heads of 64, forward and backward: 31 ms instead of 80 ms.
    """
    return (
        query.device.type == "cpu"
        and query.dtype == torch.bfloat16
        and key.shape[1] == 1
        and key.shape[2] == query.shape[2] > _BLOCK
    )


def _multi_query_in_blocks(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention in blocks of queries, each with the keys up to its end; the heads of a block share a matrix product.

    ``query`` [B, H, T, D]; ``key`` and ``value`` [B, T, D].
    """
    batch_size, n_head, length, head_dim = query.shape
    query = query * head_dim**-0.5
    hidden = torch.ones(_BLOCK, _BLOCK, dtype=torch.bool, device=query.device).triu(1)
    outputs = []
    for start in range(0, length, _BLOCK):
        end = min(start + _BLOCK, length)
        size = end - start
        rows = query[:, :, start:end].reshape(batch_size, n_head * size, head_dim)
        scores = torch.bmm(rows, key[:, :end].transpose(1, 2)).view(batch_size, n_head, size, end)
        scores[..., start:end].masked_fill_(hidden[:size, :size], float("-inf"))
        weights = scores.softmax(dim=-1).view(batch_size, n_head * size, end)
        outputs.append(torch.bmm(weights, value[:, :end]).view(batch_size, n_head, size, head_dim))
    return torch.cat(outputs, dim=2)
