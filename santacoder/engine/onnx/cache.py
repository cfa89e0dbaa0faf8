"""Key/value buffers in rows, which every step of a graph reads and writes in place."""

from __future__ import annotations

from typing import Any

import onnxruntime

from santacoder.config import SantaCoderConfig
from santacoder.engine.onnx.memory import Memory, address, copied, zeros
from santacoder.engine.onnx.session import first_line
from santacoder.errors import CheckpointError

# by the type of the key/value buffers in the graph: NumPy's and PyTorch's name, and ONNX's number
_TYPES = {
    "tensor(float)": ("float32", 1),
    "tensor(float16)": ("float16", 10),
    "tensor(bfloat16)": ("bfloat16", 16),
}


COLUMNS = 64
"""A capacity is a multiple of this, because export/attention.py computes so many columns of scores at a time."""


class RowCache:
    """Buffers [n_rows, n_kv_head, capacity, head_dim] of each layer's keys and values.

    ``capacity`` is at least one place more than there are positions, for rows that only fill a gap in a batch.

    Raises:
        CheckpointError: there is too little memory for them, or PyTorch cannot use the device.
    """

    def __init__(
        self, session: onnxruntime.InferenceSession, config: SantaCoderConfig, n_rows: int, device: str
    ) -> None:
        self._session = session
        self._device = device
        self.n_rows = n_rows
        self.capacity = -(-(config.n_positions + 1) // COLUMNS) * COLUMNS
        self._names = [f"{kind}.{layer}" for layer in range(config.n_layer) for kind in ("k", "v")]
        type_in_graph = next(value.type for value in session.get_inputs() if value.name == "past_k.0")
        dtype, self._element_type = _TYPES[type_in_graph]
        shape = (len(self._names), n_rows, config.n_kv_head, self.capacity, config.head_dim)
        self._buffers: Any = _allocate(shape, dtype, device)

    def binding(self, first: int, n_rows: int) -> onnxruntime.IOBinding:
        """A new binding of ``n_rows`` rows from ``first`` on, as both past and present. Keep it: binding the buffers of
        every layer takes longer than half a step of a small model."""
        binding = self._session.io_binding()
        shape = [n_rows, *self._buffers.shape[2:]]
        for index, name in enumerate(self._names):
            buffer = (self._device, 0, self._element_type, shape, address(self._buffers[index, first]))
            binding.bind_input(f"past_{name}", *buffer)
            binding.bind_output(f"present_{name}", *buffer)
        return binding

    def copy(self, source: int, target: int, length: int) -> None:
        """Copy the first ``length`` positions of row ``source`` to row ``target``."""
        self._buffers[:, target, :, :length] = self._buffers[:, source, :, :length]
        self._wait()

    def exchange(self, first: int, second: int, first_length: int, second_length: int) -> None:
        """Exchange the first positions of two rows, as many as each holds."""
        saved = copied(self._buffers[:, first, :, :first_length])
        self._buffers[:, first, :, :second_length] = self._buffers[:, second, :, :second_length]
        self._buffers[:, second, :, :first_length] = saved
        self._wait()

    def save(self, row: int, length: int) -> Memory:
        """The first ``length`` positions of a row, [2 n_layer, n_kv_head, length, head_dim]."""
        saved = copied(self._buffers[:, row, :, :length])
        self._wait()
        return saved

    def restore(self, row: int, saved: Memory) -> int:
        """Write saved keys and values to the first positions of a row. Returns their number."""
        length = saved.shape[2]
        self._buffers[:, row, :, :length] = saved
        self._wait()
        return length

    def _wait(self) -> None:
        if self._device == "cuda":
            import torch

            torch.cuda.synchronize()  # the runtime works in a stream of its own, which does not wait for PyTorch's


def _allocate(shape: tuple[int, ...], dtype: str, device: str) -> Memory:
    try:
        return zeros(shape, dtype, device)
    except (RuntimeError, AssertionError, OSError, OverflowError) as error:  # no memory; a PyTorch built without CUDA
        raise CheckpointError(
            f"The key/value buffers cannot be allocated on {device} ({first_line(error)}); use another device."
        ) from error
