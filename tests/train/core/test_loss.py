"""The chunked loss compared with PyTorch's cross-entropy, including gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from train.core.loss import IGNORED_TARGET, next_token_loss


@pytest.mark.parametrize("ignored", [0, 50, 1400])
def test_loss_and_gradients_equal_cross_entropy(ignored: int) -> None:
    torch.manual_seed(0)
    hidden_states = torch.randn(2, 700, 16, requires_grad=True)
    embedding = torch.randn(90, 16, requires_grad=True)
    targets = torch.randint(90, (2, 700))
    targets.view(-1)[:ignored] = IGNORED_TARGET
    loss = next_token_loss(hidden_states, embedding, targets)
    logits = (hidden_states @ embedding.T).view(-1, 90)
    expected = F.cross_entropy(logits, targets.view(-1), reduction="sum") / max(1, 1400 - ignored)
    torch.testing.assert_close(loss, expected)
    for got, wanted in zip(
        torch.autograd.grad(3 * loss, [hidden_states, embedding]),
        torch.autograd.grad(3 * expected, [hidden_states, embedding]),
        strict=True,
    ):
        torch.testing.assert_close(got, wanted, atol=1e-6, rtol=1e-4)
