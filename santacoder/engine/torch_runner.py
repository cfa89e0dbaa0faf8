"""Runs the model with PyTorch: the reference for every other runner."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from santacoder.engine.runner import N_SLOTS, Logits, PrefillTogether, Step
from santacoder.kv_cache import KVCache, RaggedKVCache
from santacoder.model import SantaCoder


class TorchRunner:
    """A :class:`santacoder.engine.runner.Runner`."""

    name = "torch"
    prefill_together: PrefillTogether | None = None

    def __init__(self, model: SantaCoder, *, n_slots: int = N_SLOTS) -> None:
        self._model = model.eval()
        weight = model.transformer.wte.weight
        self._device = weight.device
        self._cache = KVCache.allocate(model.config, n_slots, dtype=weight.dtype, device=weight.device)
        self.n_slots = n_slots
        self.n_positions = model.config.n_positions
        self.device = weight.device.type
        self.precision = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[weight.dtype]

    @torch.inference_mode()
    def prefill(self, slot: int, token_ids: Sequence[int], start: int, n_logits: int) -> Logits:
        kv_cache = KVCache(self._cache.keys[:, slot : slot + 1], self._cache.values[:, slot : slot + 1], start)
        return self._logits(self._hidden([list(token_ids)], kv_cache)[0, len(token_ids) - n_logits :])

    @torch.inference_mode()
    def decode(self, steps: Sequence[Step]) -> Logits:
        if len(steps) == 1:
            return self.prefill(steps[0].slot, [steps[0].token_id], steps[0].position, 1)
        slots, token_ids, positions = zip(*steps, strict=True)
        kv_cache = RaggedKVCache(self._cache.keys, self._cache.values, slots, positions)
        return self._logits(self._hidden([[token_id] for token_id in token_ids], kv_cache)[:, 0])

    @torch.inference_mode()
    def copy(self, source: int, target: int, length: int) -> None:
        for buffer in (self._cache.keys, self._cache.values):
            buffer[:, target, :, :length] = buffer[:, source, :, :length]

    @torch.inference_mode()
    def save(self, slot: int, length: int) -> torch.Tensor:
        return torch.stack([self._cache.keys[:, slot, :, :length], self._cache.values[:, slot, :, :length]])

    @torch.inference_mode()
    def restore(self, slot: int, saved: torch.Tensor) -> None:
        for buffer, of_slot in zip((self._cache.keys, self._cache.values), saved, strict=True):
            buffer[:, slot, :, : of_slot.shape[2]] = of_slot

    def close(self) -> None:
        del self._model, self._cache

    def _hidden(self, token_ids: list[list[int]], kv_cache: KVCache | RaggedKVCache) -> torch.Tensor:
        return self._model.transformer(torch.tensor(token_ids, device=self._device), kv_cache)

    def _logits(self, hidden_states: torch.Tensor) -> Logits:
        logits = self._model.logits(hidden_states).float()
        return logits.numpy() if logits.device.type == "cpu" else logits
