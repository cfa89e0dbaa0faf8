"""Quantisation of weights, in the layouts of ONNX Runtime's kernels."""

from __future__ import annotations

import numpy as np

# candidates for the scale of a block, relative to the scale that maps its largest value to the end of the range:
# clipping the largest value a little often costs less than rounding all others more coarsely
_SHRINK = (1.0, 0.95, 0.9, 0.85, 0.8)


def quantize_blocks(weight: np.ndarray, bits: int, block_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Quantise ``weight`` [out, in] float32 for ``MatMulNBits``, which multiplies by its transpose.

    Returns values [out, in / block_size, block_size * bits / 8] uint8, with the zero point ``2 ** (bits - 1)`` and, for
    4 bits, the first of two values in the low half; and scales [out, in / block_size] float32. ``in`` must be a
    multiple of ``block_size``.
    """
    n_out, n_in = weight.shape
    blocks = weight.reshape(n_out, n_in // block_size, block_size)
    zero_point = 2 ** (bits - 1)
    scales = _scales(blocks, zero_point, _SHRINK if bits == 4 else (1.0,))
    values = (_round(blocks, scales, zero_point) + zero_point).astype(np.uint8)
    if bits == 4:
        values = values[..., 0::2] | (values[..., 1::2] << 4)
    return values, scales


def quantize_rows(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quantise ``weight`` [out, in] float32 to values [out, in] int8, from -127 to 127, with a scale for each row
    [out].
    """
    largest = np.abs(weight).max(axis=1)
    scales = np.where(largest == 0, 1.0, largest / 127).astype(np.float32)
    return np.rint(weight / scales[:, None]).astype(np.int8), scales


def _scales(blocks: np.ndarray, zero_point: int, shrink: tuple[float, ...]) -> np.ndarray:
    """The scale of each block with the least squared error; its sign maps the largest value to the longer end, -zp."""
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=-1, keepdims=True), axis=-1)[..., 0]
    full = np.where(largest == 0, 1.0, -largest / zero_point).astype(np.float32)
    if len(shrink) == 1:
        return full
    errors = []
    for share in shrink:
        scale = full * np.float32(share)
        errors.append(np.square(_round(blocks, scale, zero_point) * scale[..., None] - blocks).sum(axis=-1))
    return full * np.asarray(shrink, dtype=np.float32)[np.argmin(errors, axis=0)]


def _round(blocks: np.ndarray, scales: np.ndarray, zero_point: int) -> np.ndarray:
    return np.clip(np.rint(blocks / scales[..., None]), -zero_point, zero_point - 1)
