"""In which precision the matrix multiplies of a run are fastest."""

from __future__ import annotations

import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def multiplied_in(precision: str, device: torch.device) -> torch.dtype:
    """The type that ``precision`` stands for; with ``auto``, bf16 where ``device`` has instructions for it, else fp32.

    Without them, PyTorch multiplies bf16 numbers one by one: on a Zen 3 core at
    1.2 GFLOP/s, where fp32 has 60.
    """
    if precision != "auto":
        return DTYPES[precision]
    return torch.bfloat16 if has_bf16(device) else torch.float32


def has_bf16(device: torch.device) -> bool:
    """Whether ``device`` multiplies matrices of bf16 faster than those of fp32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
