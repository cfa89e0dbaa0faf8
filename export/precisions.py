"""In which precisions a graph can be written."""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes
import numpy as np
from onnx import helper


@dataclass(frozen=True)
class Precision:
    """``dtype`` is what the graph computes in and what the key/value buffers hold; ``bits`` is the size of a quantised
    matrix, None where matrices are of ``dtype`` too. Quantised graphs have embeddings and output layer in 8 bits.

    ``tolerance`` is by how much bits per byte may rise against PyTorch in fp32, as a share.
    """

    dtype: np.dtype
    tolerance: float
    bits: int | None = None

    @property
    def element_type(self) -> int:
        """ONNX's number of ``dtype``."""
        return helper.np_dtype_to_tensor_dtype(self.dtype)

    def cast(self, value: np.ndarray) -> np.ndarray:
        return value.astype(self.dtype, copy=False)


_FP32 = np.dtype(np.float32)

PRECISIONS = {
    "fp32": Precision(_FP32, tolerance=1e-4),
    "fp16": Precision(np.dtype(np.float16), tolerance=2e-3),
    "bf16": Precision(np.dtype(ml_dtypes.bfloat16), tolerance=1e-2),
    "int8": Precision(_FP32, tolerance=1e-2, bits=8),
    "int4": Precision(_FP32, tolerance=5e-2, bits=4),
}


def by_whole_rows(shape: tuple[int, ...]) -> bool:
    """Whether a matrix [out, in] in 8 bits has a scale for each whole row, rather than for blocks of it.

    Integers then add up along the row, which is 1.7 times as fast for a prompt and 1.3 times for eight streams, and as
    fast for one. Quantising activations takes a few operators of its own, which a small model's step would notice.
    """
    return min(shape) >= 1024


def unpacked_once(shape: tuple[int, ...]) -> bool:
    """Whether a matrix [out, in] in 8 bits is multiplied in single precision, as which it is unpacked at opening.

    With activations in 8 bits, too, the last bit of a sum decides now and then between two of 255 steps. The next
    layers turn one such step into many, so that a token that was written and the same one read in a prompt differ by
    4 % of the logits' spread, and one in thirty is followed by another token; in single precision by a millionth of
    the spread. A small matrix stays in the processor's cache and is as fast in floats as in bytes.
    """
    return min(shape) < 512


def block_size(n_in: int, bits: int) -> int | None:
    """How many of the ``n_in`` weights of a row share a scale; None where they cannot be divided.

    Large blocks read faster, which counts where a matrix does not fit into a cache: in 4 bits, matrices of the 1.1 B
    shape take 2.6 ms in blocks of 256 where they take 3.2 in blocks of 128. Small ones lose less, which counts in
    4 bits where rows are short.
    """
    sizes = (32, 16) if bits == 4 and n_in < 1024 else (256, 128, 64, 32, 16)
    return next((size for size in sizes if n_in % size == 0), None)
