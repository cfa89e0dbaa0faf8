"""A decode step: one token for each of several adjacent rows, with inputs and outputs in memory that is bound once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

import numpy as np
import onnxruntime

from santacoder.config import SantaCoderConfig
from santacoder.engine.onnx.cache import RowCache
from santacoder.engine.onnx.memory import Memory, address, copy_to_gpu, empty_floats, on_device
from santacoder.engine.onnx.session import run_options

# more than there are ranges of rows for which a GPU captures graphs; each takes some kilobytes
MOST_BINDINGS = 1024


class DecodingStep:
    """A step whose inputs and outputs keep their addresses. Steps with the same rows and number of logits also keep
    their shapes, as a CUDA graph needs; on a CPU this saves binding them again. All steps share the same memory."""

    def __init__(
        self, session: onnxruntime.InferenceSession, cache: RowCache, config: SantaCoderConfig, device: str
    ) -> None:
        self._session = session
        self._cache = cache
        self._device = device
        self._last_position = config.n_positions - 1
        # one array, so that one copy moves it to a GPU; only half of the last row is used
        self._written = np.zeros((4, cache.n_rows), dtype=np.int64)
        self._token_ids, self._positions, self._logits_index, ends = self._written
        self._ends = ends.view(np.int32)
        self._inputs = on_device(self._written, device)
        self._total = np.zeros((), dtype=np.int32)
        self._logits = empty_floats((cache.n_rows, config.vocab_size), device)
        self._bindings: OrderedDict[tuple[int, int, int], _Binding] = OrderedDict()  # the latest used last
        self._graph_ids = count()
        self._plain = run_options()

    def run(
        self, first: int, token_ids: Sequence[int], starts: Sequence[int], wanted: Sequence[int], *, captured: bool
    ) -> Memory:
        """Run one token of ``token_ids`` at positions ``starts`` in each row from ``first`` on. Returns logits [N, V]
        float32 of the rows in ``wanted``, counted from 0 for row ``first``; the next call overwrites them.

        With ``captured``, a GPU captures a CUDA graph of these rows, or replays it. The shape of ``wanted`` must not
        change between replays.
        """
        n_rows = len(token_ids)
        self._token_ids[:n_rows] = token_ids
        self._positions[:n_rows] = np.minimum(starts, self._last_position)
        self._ends[:n_rows] = starts
        self._logits_index[: len(wanted)] = wanted
        # the operator reads it on the CPU, so a captured step keeps the value of its capture
        self._total.fill(self._cache.capacity if captured else max(starts) + 1)
        if self._device == "cuda":
            copy_to_gpu(self._written, self._inputs)
        bound = self._bound(first, n_rows, len(wanted))
        self._session.run_with_iobinding(bound.binding, bound.captured if captured else self._plain)
        return self._logits[: len(wanted)]

    def _bound(self, first: int, n_rows: int, n_logits: int) -> _Binding:
        key = (first, n_rows, n_logits)
        if key in self._bindings:
            self._bindings.move_to_end(key)
        else:
            if len(self._bindings) == MOST_BINDINGS:
                self._bindings.popitem(last=False)
            binding = self._cache.binding(first, n_rows)
            token_ids, positions, logits_index, ends = self._inputs
            for name, memory, element_type, shape in (
                ("input_ids", token_ids, np.int64, [n_rows, 1]),
                ("position_ids", positions, np.int64, [n_rows, 1]),
                ("logits_index", logits_index, np.int64, [n_logits]),
                ("seqlens_k", ends, np.int32, [n_rows]),
            ):
                binding.bind_input(name, self._device, 0, element_type, shape, address(memory))
            binding.bind_input("total_sequence_length", "cpu", 0, np.int32, [], address(self._total))
            shape = [n_logits, self._logits.shape[1]]
            binding.bind_output("logits", self._device, 0, np.float32, shape, address(self._logits))
            self._bindings[key] = _Binding(binding, run_options(graph_id=next(self._graph_ids)))
        return self._bindings[key]


class _Binding(NamedTuple):
    """``captured`` are the run options for capturing or replaying its CUDA graph."""

    binding: onnxruntime.IOBinding
    captured: onnxruntime.RunOptions


def aligned(first: int, last: int, n_rows: int, *, least: int = 1) -> tuple[int, int]:
    """The first row and the number of rows of the smallest aligned range that contains ``first`` and ``last``. Its size
    is ``least`` times a power of two, and it begins at a multiple of its size; it is truncated at ``n_rows``. There are
    fewer than twice as many such ranges as rows, so each can have a CUDA graph. A single stream is one row anywhere."""
    size = least
    while first // size != last // size:
        size *= 2
    first = first // size * size
    return first, min(size, n_rows - first)
