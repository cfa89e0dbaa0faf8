"""Runs the graph of web_graph.py with the native ONNX Runtime, to compare it with the model and with the browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from santacoder.config import SantaCoderConfig
from santacoder.engine.onnx.session import open_session
from santacoder.engine.runner import PrefillTogether, Step


class WebRunner:
    """A runner with one slot.

    Raises:
        CheckpointError: the graph or its data is damaged or made for another runtime.
    """

    name, precision, device, n_slots = "onnx", "web", "cpu", 1
    prefill_together: PrefillTogether | None = None

    def __init__(self, graph: Path, config: SantaCoderConfig) -> None:
        self._session, _ = open_session(graph, "cpu", captures=False)
        self.n_positions = config.n_positions
        width = 2 * config.n_layer * config.n_kv_head * config.head_dim
        self._past = np.zeros((config.n_positions, width), dtype=np.float32)

    def prefill(self, slot: int, token_ids: Sequence[int], start: int, n_logits: int) -> np.ndarray:
        length = len(token_ids)
        inputs = {
            "input_ids": np.array(token_ids, dtype=np.int64),
            "logits_index": np.arange(length - n_logits, length, dtype=np.int64),
            "past": self._past[:start],
        }
        logits, self._past[start : start + length] = self._session.run(["logits", "new"], inputs)
        return logits

    def decode(self, steps: Sequence[Step]) -> np.ndarray:
        (step,) = steps
        return self.prefill(step.slot, [step.token_id], step.position, 1)

    def copy(self, source: int, target: int, length: int) -> None:
        """There is nothing to copy: both are the only slot."""

    def save(self, slot: int, length: int) -> Tensor:
        return torch.from_numpy(self._past[:length].copy())

    def restore(self, slot: int, saved: Tensor) -> None:
        self._past[: len(saved)] = saved.numpy()

    def close(self) -> None:
        del self._session, self._past
