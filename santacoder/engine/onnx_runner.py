"""Runs the model with ONNX Runtime, from a graph that ``python -m export`` wrote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from santacoder.config import SantaCoderConfig

_TENSOR_TYPES = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16, "tensor(bfloat16)": torch.bfloat16}


class OnnxRunner:
    name = "onnx"

    def __init__(self, graph: Path, config: SantaCoderConfig, *, n_slots: int = 8) -> None:
        options = onnxruntime.SessionOptions()
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.n_slots = n_slots
        self.n_positions = config.n_positions
        self._config = config
        # one place more than there are positions: where a row that only fills up a batch may write
        shape = (2 * config.n_layer, n_slots, config.n_kv_head, config.n_positions + 1, config.head_dim)
        self._cache = torch.zeros(shape)
        self._logits = torch.empty(16, config.vocab_size)

    def read(self, slot: int, token_ids: Sequence[int], start: int, n_logits: int = 1) -> np.ndarray:
        n = len(token_ids)
        end = start + n
        return self._run(
            slot,
            np.array([token_ids], dtype=np.int64),
            np.arange(start, end, dtype=np.int64)[None],
            np.array([end - 1], dtype=np.int32),
            end,
            np.arange(n - n_logits, n, dtype=np.int64),
        )

    def decode(self, slots: Sequence[int], token_ids: Sequence[int], starts: Sequence[int]) -> np.ndarray:
        first, last = min(slots), max(slots)
        B = last - first + 1
        assert B == len(slots)
        starts = np.array(starts)
        return self._run(first, np.array(token_ids, dtype=np.int64)[:, None], starts.astype(np.int64)[:, None], starts.astype(np.int32), int(starts.max()) + 1, np.arange(B, dtype=np.int64))

    def _run(self, first, ids, pos, seqlens, total, index):
        b = self._session.io_binding()
        B = ids.shape[0]
        tot = np.array(total, dtype=np.int32)
        for name, v in (("input_ids", ids), ("position_ids", pos), ("seqlens_k", seqlens), ("total_sequence_length", tot), ("logits_index", index)):
            b.bind_input(name, "cpu", 0, v.dtype, v.shape, v.ctypes.data)
        cs = self._cache
        shape = [B, *cs.shape[2:]]
        for l in range(self._config.n_layer):
            for k, kind in enumerate("kv"):
                ptr = cs[2 * l + k, first].data_ptr()
                b.bind_input(f"past_{kind}.{l}", "cpu", 0, np.float32, shape, ptr)
                b.bind_output(f"present_{kind}.{l}", "cpu", 0, np.float32, shape, ptr)
        out = self._logits[: len(index)]
        b.bind_output("logits", "cpu", 0, np.float32, list(out.shape), out.data_ptr())
        self._session.run_with_iobinding(b)
        return out.numpy()
