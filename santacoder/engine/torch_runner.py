"""Runs the model with PyTorch: the reference every other runner is held to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from santacoder.config import SantaCoderConfig
from santacoder.engine.cache import SlotCache
from santacoder.engine.runner import Step
from santacoder.kv_cache import KVCache
from santacoder.model import SantaCoder

N_SLOTS = 8


def memory_needed(config: SantaCoderConfig, dtype: torch.dtype) -> int:
    """Bytes that a runner of a model takes: its weights and the slots."""
    with torch.device("meta"):
        n_parameters = sum(parameter.numel() for parameter in SantaCoder(config).parameters())
        kv_cache = KVCache.allocate(config, N_SLOTS, device="meta")
    return (n_parameters + kv_cache.keys.numel() + kv_cache.values.numel()) * dtype.itemsize


class TorchRunner:
    """A :class:`santacoder.engine.runner.Runner`.

    Every sequence is computed by itself, never in a batch with others: on a CPU the matrix multiply of one row takes
    less than the same row's share in a batch of small-model size, and the result does not depend on who else is
    running, to the last bit.
    """

    name = "torch"

    def __init__(self, model: SantaCoder, *, n_slots: int = N_SLOTS) -> None:
        self._model = model.eval()
        weight = model.transformer.wte.weight
        self._device = weight.device
        self._cache = SlotCache(model.config, n_slots, dtype=weight.dtype, device=weight.device)
        self.n_slots = n_slots
        self.n_positions = model.config.n_positions
        self.device = weight.device.type
        self.precision = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[weight.dtype]

    @torch.inference_mode()
    def read(self, slot: int, token_ids: Sequence[int], start: int, n_logits: int) -> np.ndarray:
        kv_cache = self._cache[slot]
        kv_cache.length = start
        input_ids = torch.tensor([token_ids], device=self._device)
        last = self._model.transformer(input_ids, kv_cache)[0, len(token_ids) - n_logits :]
        return self._model.logits(last).float().cpu().numpy()

    def decode(self, steps: Sequence[Step]) -> np.ndarray:
        return np.concatenate([self.read(step.slot, [step.token_id], step.position, 1) for step in steps])

    @torch.inference_mode()
    def copy(self, source: int, target: int, length: int) -> None:
        self._cache[target].keys[..., :length, :] = self._cache[source].keys[..., :length, :]
        self._cache[target].values[..., :length, :] = self._cache[source].values[..., :length, :]
