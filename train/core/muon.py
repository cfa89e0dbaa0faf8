"""Muon: momentum with orthogonalised updates (Jordan et al. 2024, kellerjordan.github.io/posts/muon).

PyTorch's implementation orthogonalises in bf16 on every device, which takes minutes per step on a processor without
bf16 instructions.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from santacoder.linear import product
from train.core.precision import multiplied_in

# Coefficients of the quintic iteration, chosen for a steep slope at 0 (Jordan et al.), with five iterations.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
# numbers in the matrices of one shape that are multiplied together
_STACKED = 2**24


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
            rate, decay = group["lr"], group["weight_decay"]
            learned = [parameter for parameter in group["params"] if parameter.grad is not None]
            for parameters in _stacks(learned):
                updates = [self._momentum(parameter, group["momentum"]) for parameter in parameters]
                directions = orthogonal(torch.stack(updates)) if len(updates) > 1 else [orthogonal(updates[0])]
                for parameter, direction in zip(parameters, directions, strict=True):
                    parameter.mul_(1 - rate * decay)
                    parameter.add_(direction, alpha=-0.2 * math.sqrt(max(parameter.shape)) * rate)

    def _momentum(self, parameter: Tensor, momentum: float) -> Tensor:
        """Nesterov's momentum, which replaces the gradient."""
        assert parameter.grad is not None
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        average = state["momentum_buffer"].lerp_(parameter.grad, 1 - momentum)
        return parameter.grad.lerp(average, momentum)


def _stacks(parameters: list[Tensor]) -> Iterator[list[Tensor]]:
    """The parameters that are orthogonalised together: those of one shape, up to a size, where the products are in
    bf16. In single precision oneDNN multiplies them one by one."""
    by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
    for parameter in parameters:
        by_shape[parameter.shape].append(parameter)
    for shape, alike in by_shape.items():
        is_stacked = multiplied_in("auto", alike[0].device) == torch.bfloat16
        size = max(1, _STACKED // shape.numel()) if is_stacked else 1
        yield from (alike[start : start + size] for start in range(0, len(alike), size))


def orthogonal(matrix: Tensor) -> Tensor:
    """[..., M, N] -> [..., M, N] with the same singular vectors and singular values near 1, by Newton-Schulz
    iteration."""
    is_tall = matrix.shape[-2] > matrix.shape[-1]
    wide = matrix.mT if is_tall else matrix
    wide = wide.to(multiplied_in("auto", matrix.device)).contiguous()
    wide = wide / wide.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    a, b, c = _COEFFICIENTS
    multiply = product if wide.dim() == 2 else torch.bmm
    for _ in range(_ITERATIONS):
        gram = multiply(wide, wide.mT)
        wide = a * wide + multiply(b * gram + c * multiply(gram, gram), wide)
    return (wide.mT if is_tall else wide).to(matrix.dtype)
