"""Memory that a graph reads and writes in place: arrays on a CPU, which need no PyTorch, and its tensors on a GPU."""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

import ml_dtypes  # noqa: F401 (adds the name bfloat16 to NumPy's types)
import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Memory: TypeAlias = "np.ndarray | Tensor"


def zeros(shape: Sequence[int], dtype: str, device: str) -> Memory:
    """Zeros. On a CPU they are the system's, which take no memory until they are written to, and then only for the
    pages written."""
    if device != "cpu":
        import torch

        return torch.zeros(tuple(shape), dtype=getattr(torch, dtype), device=device)
    memory = mmap.mmap(-1, math.prod(shape) * np.dtype(dtype).itemsize)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        with suppress(OSError):  # a kernel built without huge pages
            memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, dtype=dtype).reshape(shape)


def empty_floats(shape: Sequence[int], device: str) -> Memory:
    if device == "cpu":
        return np.empty(shape, dtype=np.float32)
    import torch

    return torch.empty(tuple(shape), device=device)


def on_device(array: np.ndarray, device: str) -> Memory:
    """The same memory on a CPU, a copy elsewhere."""
    if device == "cpu":
        return array
    import torch

    return torch.from_numpy(array).to(device)


def copy_to_gpu(array: np.ndarray, memory: Memory) -> None:
    """Returns once it is done, so that no stream of the GPU need wait for it."""
    import torch

    torch.as_tensor(memory).copy_(torch.from_numpy(array))


def copied(memory: Memory) -> Memory:
    return memory.copy() if isinstance(memory, np.ndarray) else memory.clone()


def address(memory: Memory) -> int:
    return memory.ctypes.data if isinstance(memory, np.ndarray) else memory.data_ptr()
