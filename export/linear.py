"""Linear layers and embedding lookups, with the kernels of each precision."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from export.nodes import MICROSOFT, Nodes
from export.precisions import Precision, block_size, by_whole_rows, unpacked_once
from export.quantize import quantize_blocks, quantize_rows

_TABLE_BITS = 8
_ZERO_POINT = 128
_LARGEST = 127


def linear(
    nodes: Nodes, name: str, source: str, weight: np.ndarray, bias: np.ndarray | None, precision: Precision
) -> str:
    """``source`` [..., in] times the transpose of ``weight`` [out, in] float32, plus ``bias``."""
    bits = precision.bits
    size = block_size(weight.shape[1], bits, for_cpu=precision.for_cpu) if bits else None
    if bits and size and not precision.for_cpu:  # with a bias, the kernel for a few rows is not used
        product = _blocks(nodes, name, source, weight, None, bits, size, precision)
    elif bits == 8 and size and unpacked_once(weight.shape):
        product = _unpacked(nodes, name, source, weight, size)
    elif bits == 8 and by_whole_rows(weight.shape):
        product = _integers(nodes, name, source, weight, unsigned=precision.unsigned)
    elif bits and size:
        return _blocks(nodes, name, source, weight, bias, bits, size, precision)
    else:
        product = _floats(nodes, name, source, weight, precision)
    if bias is None:
        return product
    return nodes.add("Add", [product, nodes.tensor(f"{name}.bias", precision.cast(bias))], f"{name}.output")


def table_product(nodes: Nodes, name: str, source: str, table: np.ndarray, precision: Precision) -> str:
    """``source`` [N, in] times the transpose of ``table`` [rows, in]; quantised graphs store the table in 8 bits."""
    size = precision.bits and block_size(table.shape[1], _TABLE_BITS, for_cpu=precision.for_cpu)
    if size and not precision.for_cpu:
        return _blocks(nodes, name, source, table, None, _TABLE_BITS, size, precision)
    if precision.bits == _TABLE_BITS and size and unpacked_once(table.shape):
        return _unpacked(nodes, name, source, table, size)
    if precision.bits == _TABLE_BITS and by_whole_rows(table.shape):
        return _integers(nodes, name, source, table, unsigned=precision.unsigned)
    if not size:
        return _floats(nodes, name, source, table, precision)
    return _blocks(nodes, name, source, table, None, _TABLE_BITS, size, precision)


def table_rows(nodes: Nodes, name: str, ids: str, table: np.ndarray, precision: Precision) -> str:
    """The rows ``ids`` of ``table``; quantised graphs for a CPU store the table in 8 bits."""
    size = block_size(table.shape[1], _TABLE_BITS)
    if precision.bits is None or size is None or not precision.for_cpu:
        return nodes.add("Gather", [nodes.tensor(f"{name}.weight", precision.cast(table)), ids], f"{name}.rows", axis=0)
    values, scales = quantize_blocks(table, _TABLE_BITS, size)
    return nodes.add(
        "GatherBlockQuantized",
        [nodes.tensor(f"{name}.values", values.reshape(table.shape)), ids, nodes.tensor(f"{name}.scales", scales)],
        f"{name}.rows",
        domain=MICROSOFT,
        bits=_TABLE_BITS,
        block_size=size,
        gather_axis=0,
        quantize_axis=1,
    )


def _floats(nodes: Nodes, name: str, source: str, weight: np.ndarray, precision: Precision) -> str:
    transposed = nodes.tensor(f"{name}.weight.transposed", precision.cast(weight.T))
    return nodes.add("MatMul", [source, transposed], f"{name}.product")


def unpacked_matrix(nodes: Nodes, name: str, weight: np.ndarray, size: int) -> str:
    """The transpose [in, out] of ``weight``, which is stored in 8 bits, in blocks of ``size``, and unpacked once.

    All inputs of the operators that convert it to floats are constants, so the runtime computes them once, when it
    opens the graph; ``DequantizeLinear`` would run at each step.
    """
    n_out, n_in = weight.shape
    values, scales = quantize_blocks(weight, 8, size)
    steps = nodes.add("Cast", [nodes.tensor(f"{name}.matrix.values", values)], f"{name}.steps", to=TensorProto.FLOAT)
    zero_point = nodes.constant("stored.zero_point", np.array(_ZERO_POINT, dtype=np.float32))
    signed = nodes.add("Sub", [steps, zero_point], f"{name}.signed")
    stored_scales = nodes.tensor(f"{name}.matrix.scales", scales[..., None])
    blocks = nodes.add("Mul", [signed, stored_scales], f"{name}.blocks")
    shape = nodes.constant(f"shape.{n_out}.{n_in}", np.array(weight.shape, dtype=np.int64))
    rows = nodes.add("Reshape", [blocks, shape], f"{name}.rows.unpacked")
    return nodes.add("Transpose", [rows], f"{name}.weight.transposed", perm=[1, 0])


def _unpacked(nodes: Nodes, name: str, source: str, weight: np.ndarray, size: int) -> str:
    return nodes.add("MatMul", [source, unpacked_matrix(nodes, name, weight, size)], f"{name}.product")


def _blocks(
    nodes: Nodes,
    name: str,
    source: str,
    weight: np.ndarray,
    bias: np.ndarray | None,
    bits: int,
    size: int,
    precision: Precision,
) -> str:
    """A product in which each block of a row of the matrix has a scale, and on a CPU so has each block of the
    activations.

    Args:
        nodes: the graph under construction.
        name: prefix of the names of nodes and tensors.
        source: name of the input, [..., in].
        weight: [out, in] float32.
        bias: [out] float32, or None.
        bits: bits per weight.
        size: weights per block.
        precision: that of the graph.
    """
    values, scales = quantize_blocks(weight, bits, size)
    inputs = [
        source,
        nodes.tensor(f"{name}.matrix.values", values),
        nodes.tensor(f"{name}.matrix.scales", precision.cast(scales)),
    ]
    if bias is not None:
        inputs += ["", "", nodes.tensor(f"{name}.bias", bias)]
    return nodes.add(
        "MatMulNBits",
        inputs,
        f"{name}.product",
        domain=MICROSOFT,
        K=weight.shape[1],
        N=weight.shape[0],
        bits=bits,
        block_size=size,
        # on a CPU, quantise activations to 8 bits as well
        accuracy_level=4 if precision.for_cpu else 0,
    )


def _integers(nodes: Nodes, name: str, source: str, weight: np.ndarray, *, unsigned: bool) -> str:
    """A product in which each row of the matrix and of the activations has a scale, so that the sum is over integers.

    Operators that quantise activations themselves use one scale for all rows, so a row would depend on the other rows
    of the batch. Here they are quantised explicitly: x / max|x|, in 127 steps on either side of 128.
    The matrix is stored in the same way if it is to be ``unsigned``.
    """
    values, scales = quantize_rows(weight)
    stored = np.ascontiguousarray(values.T)
    zero_point = nodes.constant("quantized.zero_point", np.array(_ZERO_POINT, dtype=np.uint8))
    step = nodes.constant("quantized.step", np.array(1 / _LARGEST, dtype=np.float32))
    last_axis = nodes.constant("last_axis", np.array([-1], dtype=np.int64))
    absolute = nodes.add("Abs", [source], f"{name}.absolute")
    # 0 for a row of zeros, whose quotients are NaN; the result is multiplied by this 0
    scale = nodes.add("ReduceMax", [absolute, last_axis], f"{name}.scale", keepdims=1)
    shares = nodes.add("Div", [source, scale], f"{name}.shares")
    quantized = nodes.add("QuantizeLinear", [shares, step, zero_point], f"{name}.quantized")
    product = nodes.add(
        "MatMulIntegerToFloat",
        [
            quantized,
            nodes.tensor(f"{name}.matrix.values", stored.view(np.uint8) ^ _ZERO_POINT if unsigned else stored),
            step,
            nodes.tensor(f"{name}.matrix.scales", scales),
            zero_point,
            *([zero_point] if unsigned else []),
        ],
        f"{name}.unscaled",
        domain=MICROSOFT,
    )
    return nodes.add("Mul", [product, scale], f"{name}.product")
