"""Muon: momentum with orthogonalised updates (Jordan et al. 2024, kellerjordan.github.io/posts/muon).

PyTorch's implementation orthogonalises in bf16 on every device, which takes minutes per step on a processor without
bf16 instructions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from santacoder.linear import product
from train.core.precision import multiplied_in

# Coefficients of the quintic iteration, chosen for a steep slope at 0 (Jordan et al.), with five iterations.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """An optimiser for matrices. The root mean square of its update is 0.2 times the learning rate, about that of
    AdamW, so that both can use the same learning rate (Liu et al., arXiv 2502.16982, section 2.2).
    """

    def __init__(self, params: Iterable[Any], lr: float, momentum: float = 0.95, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        assert closure is None
        for group in self.param_groups:
            rate, momentum = group["lr"], group["momentum"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(parameter)
                average = state["momentum_buffer"].lerp_(parameter.grad, 1 - momentum)
                update = orthogonal(parameter.grad.lerp(average, momentum))  # Nesterov momentum
                parameter.mul_(1 - rate * group["weight_decay"])
                parameter.add_(update, alpha=-0.2 * math.sqrt(max(parameter.shape)) * rate)


def orthogonal(matrix: Tensor) -> Tensor:
    """[M, N] -> [M, N] with the same singular vectors and singular values near 1, by Newton-Schulz iteration."""
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.t()
    wide = wide.to(multiplied_in("auto", matrix.device)).contiguous()
    wide = wide / wide.norm().clamp(min=1e-7)
    a, b, c = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        gram = product(wide, wide.t())
        wide = a * wide + product(b * gram + c * product(gram, gram), wide)
    return (wide if matrix.shape[0] <= matrix.shape[1] else wide.t()).to(matrix.dtype)
