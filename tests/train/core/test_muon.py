"""Muon compared with PyTorch's own, which computes in bf16."""

from __future__ import annotations

import pytest
import torch

from train.core.muon import Muon, orthogonal
from train.core.precision import multiplied_in


@pytest.mark.parametrize("shape", [(24, 96), (96, 24), (32, 32)])
def test_singular_values_come_near_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    update = orthogonal(matrix)
    values = torch.linalg.svdvals(update)
    assert update.shape == matrix.shape and values.min() > 0.3 and values.max() < 1.3
    # the same singular vectors: what is left of the update in their basis is its diagonal
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    inner = left.t() @ update @ right.t()
    in_bf16 = multiplied_in("auto", matrix.device) is torch.bfloat16  # on processors that have it
    assert (inner - inner.diag().diag()).abs().max() < (0.05 if in_bf16 else 1e-4)


@pytest.mark.parametrize("shape", [(24, 96), (96, 24), (32, 32)])
def test_matrices_together_become_what_each_becomes_alone(shape: tuple[int, int]) -> None:
    matrices = torch.randn((5, *shape), generator=torch.Generator().manual_seed(0))
    alone = torch.stack([orthogonal(matrix) for matrix in matrices])
    torch.testing.assert_close(orthogonal(matrices), alone, atol=2e-2, rtol=0)


@pytest.mark.parametrize("shape", [(24, 96), (96, 24)])
def test_steps_are_those_of_pytorch(shape: tuple[int, int]) -> None:
    draw = torch.Generator().manual_seed(1)
    start = torch.randn(shape, generator=draw)
    ours, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    beside = torch.nn.Parameter(start.clone())  # a matrix of the same shape, which is computed together with it
    one = Muon([{"params": [beside, ours], "weight_decay": 0.1}], lr=0.02)
    other = torch.optim.Muon([theirs], lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(4):
        gradient = torch.randn(shape, generator=draw)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        beside.grad = torch.randn(shape, generator=draw)
        one.step()
        other.step()
    assert torch.allclose(one.state[ours]["momentum_buffer"], other.state[theirs]["momentum_buffer"])
    assert (ours - theirs).norm() < 0.03 * (ours - start).norm()
