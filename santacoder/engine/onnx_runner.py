"""Runs the model with ONNX Runtime, from a graph that ``python -m export`` wrote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from santacoder.config import SantaCoderConfig
from santacoder.engine.onnx_session import first_line, open_session
from santacoder.engine.runner import Logits, Step
from santacoder.errors import CheckpointError

N_SLOTS = 8
# by the type of the key/value buffers in the graph: PyTorch's, and ONNX's number
_CACHE_TYPES = {
    "tensor(float)": (torch.float32, 1),
    "tensor(float16)": (torch.float16, 10),
    "tensor(bfloat16)": (torch.bfloat16, 16),
}


class OnnxRunner:
    """A :class:`santacoder.engine.runner.Runner`.

    Keys and values stay where they are: each step's graph reads and writes the same buffers. A slot is a row of them,
    so one sequence is bound as a batch of 1, and sequences that decode together as the rows from the first to the last.
    With ``exact``, a row's result is the same to the last bit whatever its company: the runtime multiplies rows in
    pairs, and an odd one in another order of sums, so their number is kept even. A stream alone is slower by that.

    Raises:
        CheckpointError: the graph or its data is damaged or made for another runtime, or the device cannot be used.
    """

    name = "onnx"

    def __init__(
        self, graph: Path, config: SantaCoderConfig, *, n_slots: int = N_SLOTS, device: str = "cpu", exact: bool = True
    ) -> None:
        self._session = open_session(graph, device)
        self._exact = exact
        self.n_slots = n_slots
        self._n_rows = n_slots + self._odd(n_slots)
        self.n_positions = config.n_positions
        self.device = device
        self.precision = graph.stem.removeprefix("model_") if graph.stem != "model" else "fp32"
        self._names = [f"{kind}.{layer}" for layer in range(config.n_layer) for kind in ("k", "v")]
        cache_type = next(value.type for value in self._session.get_inputs() if value.name == "past_k.0")
        dtype, self._element_type = _CACHE_TYPES[cache_type]
        # one place more than there are positions, for rows that only fill a gap in a batch
        shape = (len(self._names), self._n_rows, config.n_kv_head, config.n_positions + 1, config.head_dim)
        self._cache = _allocate(shape, dtype, device)
        self._lengths = [0] * self._n_rows
        self._bindings: dict[tuple[int, int], onnxruntime.IOBinding] = {}
        self._vocab_size = config.vocab_size

    def read(self, slot: int, token_ids: Sequence[int], start: int, n_logits: int) -> Logits:
        length = len(token_ids)
        self._lengths[slot] = start + length
        return self._run(
            slot,
            np.array([[*token_ids, *[0] * self._odd(length)]], dtype=np.int64),
            np.array([start], dtype=np.int64),
            np.arange(length - n_logits, length, dtype=np.int64),
        )

    def decode(self, steps: Sequence[Step]) -> Logits:
        slots = [step.slot for step in steps]
        first, n_rows = self._rows(min(slots), max(slots))
        # a row between those asked for writes behind what its slot holds, where nothing is relied on
        token_ids = np.zeros((n_rows, 1), dtype=np.int64)
        starts = np.array(self._lengths[first : first + n_rows], dtype=np.int64)
        for step in steps:
            token_ids[step.slot - first] = step.token_id
            starts[step.slot - first] = step.position
            self._lengths[step.slot] = step.position + 1
        return self._run(first, token_ids, starts, np.array(slots, dtype=np.int64) - first)

    def copy(self, source: int, target: int, length: int) -> None:
        self._cache[:, target, :, :length] = self._cache[:, source, :, :length]
        if self.device == "cuda":
            torch.cuda.synchronize()  # the runtime works in a stream of its own, which does not wait for PyTorch's
        self._lengths[target] = length

    def _run(self, first: int, token_ids: np.ndarray, starts: np.ndarray, logits_index: np.ndarray) -> Logits:
        """One step of the rows from slot ``first`` on: [B, S] tokens at positions ``starts`` [B] and up."""
        n_logits = len(logits_index)
        logits_index = np.append(logits_index, logits_index[-1:].repeat(self._odd(n_logits)))
        n_rows, length = token_ids.shape
        inputs = {
            "input_ids": token_ids,
            "position_ids": np.minimum(starts[:, None] + np.arange(length), self.n_positions - 1),
            "seqlens_k": (starts + length - 1).astype(np.int32),
            "total_sequence_length": np.array(starts.max() + length, dtype=np.int32),
            "logits_index": logits_index,
        }
        binding = self._bound_to_rows(first, n_rows)
        for name, value in inputs.items():
            binding.bind_cpu_input(name, value)
        logits = torch.empty((len(logits_index), self._vocab_size), device=self.device)
        binding.bind_output("logits", self.device, 0, np.float32, list(logits.shape), logits.data_ptr())
        self._session.run_with_iobinding(binding)
        return logits[:n_logits].numpy() if self.device == "cpu" else logits[:n_logits]

    def _rows(self, first: int, last: int) -> tuple[int, int]:
        """The first row and the number of rows from slot ``first`` to ``last``, with one more where that is needed."""
        if self._odd(last - first + 1):
            # the one with less to attend to
            beside = [row for row in (first - 1, last + 1) if 0 <= row < self._n_rows]
            row = min(beside, key=lambda row: self._lengths[row])
            first, last = min(first, row), max(last, row)
        return first, last - first + 1

    def _odd(self, count: int) -> int:
        """How many are missing for an even number, where that matters."""
        return count % 2 if self._exact else 0

    def _bound_to_rows(self, first: int, n_rows: int) -> onnxruntime.IOBinding:
        """Kept, because binding every layer's buffers anew takes more than half of a small model's step."""
        if (first, n_rows) not in self._bindings:
            binding = self._session.io_binding()
            shape = [n_rows, *self._cache.shape[2:]]
            for index, name in enumerate(self._names):
                buffer = (self.device, 0, self._element_type, shape, self._cache[index, first].data_ptr())
                binding.bind_input(f"past_{name}", *buffer)
                binding.bind_output(f"present_{name}", *buffer)
            self._bindings[first, n_rows] = binding
        return self._bindings[first, n_rows]


def graph_name(precision: str) -> str:
    """The file of a graph inside a revision's folder ``onnx``, by the names that the Hub's users know."""
    return "model.onnx" if precision == "fp32" else f"model_{precision}.onnx"


def _allocate(shape: tuple[int, ...], dtype: torch.dtype, device: str) -> torch.Tensor:
    try:
        return torch.zeros(shape, dtype=dtype, device=device)
    except (RuntimeError, AssertionError) as error:  # too little memory; a PyTorch built without CUDA
        raise CheckpointError(
            f"The key/value buffers cannot be had on {device} ({first_line(error)}); use another device."
        ) from error
