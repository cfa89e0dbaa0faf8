"""Keys and values of the tokens a model has already read."""

from __future__ import annotations

import torch

from santacoder.config import SantaCoderConfig


class KVCache:
    """Static buffers that :class:`santacoder.model.SantaCoder` writes in place.

    ``keys`` and ``values`` are [n_layer, B, n_kv_head, C, head_dim] with capacity C;
    ``length`` counts the positions filled so far, the same for all B rows.
    """

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        self.keys = keys
        self.values = values
        self.length = 0

    @classmethod
    def allocate(
        cls,
        config: SantaCoderConfig,
        batch_size: int = 1,
        *,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> KVCache:
        """An empty cache with room for ``n_positions`` tokens a row."""
        shape = (config.n_layer, batch_size, config.n_kv_head, config.n_positions, config.head_dim)
        return cls(torch.zeros(shape, dtype=dtype, device=device), torch.zeros(shape, dtype=dtype, device=device))

    def append(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Write [B, n_kv_head, T, head_dim] behind the filled positions of ``layer``.

        Returns views of all keys and values, [B, n_kv_head, length + T, head_dim]. The model advances
        ``length`` once all layers have written.
        """
        end = self.length + key.shape[2]
        self.keys[layer, :, :, self.length : end] = key
        self.values[layer, :, :, self.length : end] = value
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]
