"""The key/value slots that running requests share."""

from __future__ import annotations

import torch

from santacoder.config import SantaCoderConfig
from santacoder.kv_cache import KVCache


class SlotCache:
    """One allocation for ``n_slots`` sequences of full length, handed out as views."""

    def __init__(
        self, config: SantaCoderConfig, n_slots: int, *, dtype: torch.dtype, device: str | torch.device
    ) -> None:
        whole = KVCache.allocate(config, n_slots, dtype=dtype, device=device)
        self._views = [
            KVCache(whole.keys[:, slot : slot + 1], whole.values[:, slot : slot + 1]) for slot in range(n_slots)
        ]

    def __getitem__(self, slot: int) -> KVCache:
        return self._views[slot]

    def __len__(self) -> int:
        return len(self._views)
