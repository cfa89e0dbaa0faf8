"""In which precisions a graph can be written."""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes
import numpy as np
from onnx import TensorProto, helper


@dataclass(frozen=True)
class Precision:
    """``dtype`` is what the graph computes in and what the key/value buffers hold; ``bits`` is the size of a quantised
    weight, None where weights are ``dtype`` too.

    ``per_tensor`` quantises activations by one scale for all, in the fastest kernel for many rows; otherwise each row
    has scales of its own, so that a row's result does not depend on the others.
    """

    dtype: np.dtype
    bits: int | None = None
    bits_of_head: int | None = None
    block_size: int = 32
    per_tensor: bool = False

    @property
    def element_type(self) -> int:
        """ONNX's number of ``dtype``."""
        return helper.np_dtype_to_tensor_dtype(self.dtype)

    def cast(self, value: np.ndarray) -> np.ndarray:
        return value.astype(self.dtype, copy=False)


_FP32 = np.dtype(np.float32)

PRECISIONS = {
    "fp32": Precision(_FP32),
    "fp16": Precision(np.dtype(np.float16)),
    "bf16": Precision(np.dtype(ml_dtypes.bfloat16)),
    "int8": Precision(_FP32, bits=8, bits_of_head=8),
    "int4": Precision(_FP32, bits=4, bits_of_head=8),
}
