"""The fastest precision for the matrix products of a run."""

from __future__ import annotations

import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def multiplied_in(precision: str, device: torch.device) -> torch.dtype:
    """The dtype of ``precision``. ``auto`` is bf16 if ``device`` has instructions for it, and fp32 otherwise.

    Without such instructions, PyTorch multiplies bf16 numbers one by one: at 1 to 21 GFLOP/s on a Zen 3 core, compared
    with 40 to 75 GFLOP/s in fp32 (``python -m benchmarks.products``).
    """
    if precision != "auto":
        return DTYPES[precision]
    return torch.bfloat16 if has_bf16(device) else torch.float32


def has_bf16(device: torch.device) -> bool:
    """Whether ``device`` multiplies bf16 matrices faster than fp32 matrices."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
