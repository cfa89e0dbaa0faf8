"""Matrix products in single precision, with oneDNN where it is faster than PyTorch's default.

On x86 processors, PyTorch uses MKL, which reaches only half of the possible speed on AMD processors with AVX-512: two
Zen 5 cores multiply 256 rows by the matrices of the 1.1 B shape at 208 GFLOP/s with MKL and at 476 GFLOP/s with oneDNN,
with equal accuracy. PyTorch provides oneDNN's product as an operator for its compiler.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# number of multiplications from which oneDNN is faster; for smaller products, the call itself takes longer
_WORTH_IT = 2**22


class Linear(nn.Linear):
    """:class:`torch.nn.Linear` computed with :func:`linear`."""

    def forward(self, inputs: Tensor) -> Tensor:
        return linear(inputs, self.weight, self.bias)


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``F.linear``: ``inputs`` [..., in] times the transpose of ``weight`` [out, in], plus ``bias`` [out]."""
    if not _by_onednn(inputs, weight, inputs.numel() * weight.shape[0]):
        return F.linear(inputs, weight, bias)
    if torch.is_grad_enabled():
        return _Linear.apply(inputs, weight, bias)
    return _onednn(inputs, weight, bias)


def product(left: Tensor, right: Tensor) -> Tensor:
    """``left`` [M, K] times ``right`` [K, N], without a gradient."""
    return _onednn(left, right.t()) if _by_onednn(left, right, left.numel() * right.shape[1]) else left @ right


def transposed_product(left: Tensor, right: Tensor) -> Tensor:
    """The transpose of ``left`` [K, M] times ``right`` [K, N], without a gradient."""
    # a short product over many rows: with only AVX2, MKL reaches 60 to 70 GFLOP/s and oneDNN 30 to 50
    if not _WITH_AVX512 or not _by_onednn(left, right, left.numel() * right.shape[1]):
        return left.t() @ right
    # the side with fewer rows first: up to 2.5 times as fast for the gradient of a projection
    if left.shape[1] <= right.shape[1]:
        return _onednn(left.t(), right.t())
    return _onednn(right.t(), left.t()).t()


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return _onednn(inputs, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        grad = grad_outputs[0].reshape(-1, weight.shape[0])
        needs_inputs, needs_weight, needs_bias = ctx.needs_input_grad
        return (
            product(grad, weight).view(inputs.shape) if needs_inputs else None,
            transposed_product(grad, inputs.reshape(-1, weight.shape[1])) if needs_weight else None,
            grad.sum(0) if needs_bias else None,
        )


def _by_onednn(left: Tensor, right: Tensor, n_multiplications: int) -> bool:
    return (
        left.dtype == right.dtype == torch.float32
        and left.device.type == right.device.type == "cpu"
        and n_multiplications >= _WORTH_IT
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and _AVAILABLE
    )


def _onednn(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], "")


_WITH_AVX512 = torch.backends.cpu.get_cpu_capability() == "AVX512"
_AVAILABLE = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
