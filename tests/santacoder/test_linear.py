"""Products with oneDNN compared with PyTorch in double precision, with gradients, for sizes that use oneDNN or not."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from santacoder.linear import Linear, linear, product, transposed_product

SIZES = st.sampled_from([1, 2, 7, 64, 300, 1000])


def close(left: torch.Tensor, right: torch.Tensor) -> None:
    assert left.shape == right.shape
    torch.testing.assert_close(left.double(), right, rtol=1e-4, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(rows=SIZES, n_in=SIZES, n_out=SIZES, with_bias=st.booleans())
def test_as_in_double_precision(rows: int, n_in: int, n_out: int, with_bias: bool) -> None:
    torch.manual_seed(rows + n_in + n_out)
    inputs, weight, bias = torch.randn(rows, n_in), torch.randn(n_out, n_in), torch.randn(n_out)
    grad = torch.randn(rows, n_out)
    tensors = [inputs, weight, *([bias] if with_bias else [])]
    single = [tensor.clone().requires_grad_() for tensor in tensors]
    double = [tensor.double().requires_grad_() for tensor in tensors]
    output, expected = linear(*single), F.linear(*double)
    close(output, expected)
    for found, wanted in zip(
        torch.autograd.grad(output, single, grad), torch.autograd.grad(expected, double, grad.double()), strict=True
    ):
        close(found, wanted)
    close(product(grad, weight), grad.double() @ weight.double())
    close(transposed_product(grad, inputs), grad.double().t() @ inputs.double())


def test_any_number_of_dimensions_and_strides() -> None:
    torch.manual_seed(0)
    module = Linear(512, 256)
    inputs = torch.randn(4, 512, 100).transpose(1, 2)
    expected = F.linear(inputs.double(), module.weight.double(), module.bias.double())
    close(module(inputs), expected)
    with torch.inference_mode():
        close(module(inputs), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions_are_left_to_pytorch(dtype: torch.dtype) -> None:
    inputs, weight = torch.randn(300, 300, dtype=dtype), torch.randn(300, 300, dtype=dtype)
    assert torch.equal(linear(inputs, weight), F.linear(inputs, weight))


def test_a_compiler_sees_a_product_of_its_own() -> None:
    module = Linear(256, 256)
    inputs = torch.randn(200, 256)
    graph = torch.export.export(module, (inputs,)).graph
    assert any("linear" in str(node.target) and "mkldnn" not in str(node.target) for node in graph.nodes)
