"""The precisions of graphs."""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes
import numpy as np
from onnx import helper


@dataclass(frozen=True)
class Precision:
    """A precision. ``dtype`` is the type of the computation and of the key/value buffers. ``bits`` is the size of
    quantised matrix elements; None if matrices are of ``dtype``. Quantised graphs have the output layer in 8 bits, and
    those for a CPU the embeddings, too.

    ``tolerance`` is the permitted relative increase of bits per byte, compared with PyTorch in fp32.

    With ``unsigned``, matrices of integers are stored as the runtime multiplies them on x86 without VNNI. It would
    convert signed ones there when it opens the graph, which takes seconds and as much memory again. With VNNI, unsigned
    ones are multiplied at half the speed. ``for_browsers`` is the graph of web_graph.py.
    """

    dtype: np.dtype
    tolerance: float
    bits: int | None = None
    unsigned: bool = False
    for_browsers: bool = False

    @property
    def element_type(self) -> int:
        """ONNX's number for ``dtype``."""
        return helper.np_dtype_to_tensor_dtype(self.dtype)

    @property
    def for_cpu(self) -> bool:
        """Whether its kernels are those of a CPU, which quantise activations, too. Others compute in half precision."""
        return self.dtype == _FP32

    def cast(self, value: np.ndarray) -> np.ndarray:
        return value.astype(self.dtype, copy=False)


_FP32 = np.dtype(np.float32)
_MOST_OF_GPU = 128

PRECISIONS = {
    "fp32": Precision(_FP32, tolerance=1e-4),
    "fp16": Precision(np.dtype(np.float16), tolerance=2e-3),
    "bf16": Precision(np.dtype(ml_dtypes.bfloat16), tolerance=1e-2),
    "int8": Precision(_FP32, tolerance=1e-2, bits=8),
    "int4": Precision(_FP32, tolerance=5e-2, bits=4),
    "q8f16": Precision(np.dtype(np.float16), tolerance=1e-2, bits=8),
    "q4f16": Precision(np.dtype(np.float16), tolerance=5e-2, bits=4),
    "web": Precision(_FP32, tolerance=1e-2, bits=8, for_browsers=True),
}


def by_whole_rows(shape: tuple[int, ...]) -> bool:
    """Whether a matrix [out, in] in 8 bits has a scale for each whole row, instead of for each block.

    Integers are then summed along the row, which is 1.7 times as fast for a prompt, 1.3 times for eight streams, and
    equally fast for one. Quantising activations takes a few additional operators, which would slow down the steps of a
    small model.
    """
    return min(shape) >= 1024


def unpacked_once(shape: tuple[int, ...]) -> bool:
    """Whether a matrix [out, in] in 8 bits is unpacked when the graph is opened, and multiplied in single precision.

    If activations are quantised to 8 bits too, the last bit of a sum sometimes decides between two of 255 steps. The
    following layers amplify the difference, so that a decoded token and the same token in a prompt differ by 4 % of the
    logits' spread, and one in thirty is followed by a different token; in single precision, they differ by a millionth
    of the spread. A small matrix fits in the processor's cache and is as fast in floats as in bytes.
    """
    return min(shape) < 512


def block_size(n_in: int, bits: int, *, for_cpu: bool = True) -> int | None:
    """The number of weights of a row, out of ``n_in``, that share a scale; None if they cannot be divided into blocks.
    The kernels of a GPU have blocks of up to 128.

    Large blocks are faster to read, which matters if a matrix does not fit in a cache: in 4 bits, matrices of the 1.1 B
    shape take 2.6 ms in blocks of 256, compared with 3.2 ms in blocks of 128. Small blocks lose less precision, which
    matters for 4 bits and short rows.
    """
    sizes = (32, 16) if bits == 4 and n_in < 1024 else (256, 128, 64, 32, 16)
    most = max(sizes) if for_cpu else _MOST_OF_GPU
    return next((size for size in sizes if size <= most and n_in % size == 0), None)
