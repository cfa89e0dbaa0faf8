"""The KV cache: keys and values of previous tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from santacoder.config import SantaCoderConfig


class KVCache:
    """Static buffers that :class:`santacoder.model.SantaCoder` writes in place.

    ``keys`` and ``values`` are [n_layer, B, n_kv_head, C, head_dim] with capacity C; ``length`` is the number of filled
    positions, the same for all B rows.
    """

    mask = None

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, length: int = 0) -> None:
        self.keys = keys
        self.values = values
        self.length = length

    @classmethod
    def allocate(
        cls,
        config: SantaCoderConfig,
        batch_size: int = 1,
        *,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
    ) -> KVCache:
        """An empty cache with capacity for ``n_positions`` tokens per row."""
        shape = (config.n_layer, batch_size, config.n_kv_head, config.n_positions, config.head_dim)
        return cls(torch.zeros(shape, dtype=dtype, device=device), torch.zeros(shape, dtype=dtype, device=device))

    def positions(self, n_new: int) -> torch.Tensor:
        """Positions of the next ``n_new`` tokens: [n_new] int64."""
        return torch.arange(self.length, self.length + n_new, device=self.keys.device)

    def advance(self, n_new: int) -> None:
        """Mark ``n_new`` tokens as filled, after all layers have written them."""
        self.length += n_new

    def append(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Write [B, n_kv_head, T, head_dim] after the filled positions of ``layer``.

        Returns views of all keys and values, [B, n_kv_head, length + T, head_dim].
        """
        end = self.length + key.shape[2]
        self.keys[layer, :, :, self.length : end] = key
        self.values[layer, :, :, self.length : end] = value
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]


class RaggedKVCache:
    """Some rows of a :class:`KVCache`'s buffers, each with its own length, for one new token per row."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, rows: Sequence[int], lengths: Sequence[int]) -> None:
        self.keys = keys
        self.values = values
        # adjacent rows are read in place; other rows have to be gathered
        self._window = slice(min(rows), max(rows) + 1)
        self._is_window = list(rows) == list(range(self._window.start, self._window.stop))
        self._rows = torch.tensor(rows, device=keys.device)
        self._lengths = torch.tensor(lengths, device=keys.device)
        self._longest = max(lengths) + 1
        # [B, 1, 1, longest] bool: the positions that each row's new token attends to, including itself
        self.mask = (torch.arange(self._longest, device=keys.device) <= self._lengths[:, None])[:, None, None]

    @property
    def length(self) -> int:
        """The number of filled positions of the longest row."""
        return self._longest - 1

    def positions(self, n_new: int) -> torch.Tensor:
        """The position of each row's new token: [B, 1] int64."""
        return self._lengths[:, None]

    def advance(self, n_new: int) -> None:
        """Do nothing: the lengths of rows are valid for one step only."""

    def append(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Write [B, n_kv_head, 1, head_dim]; returns keys and values [B, n_kv_head, longest, head_dim]."""
        self.keys[layer, self._rows, :, self._lengths] = key[:, :, 0]
        self.values[layer, self._rows, :, self._lengths] = value[:, :, 0]
        return self._read(self.keys[layer]), self._read(self.values[layer])

    def _read(self, buffer: torch.Tensor) -> torch.Tensor:
        filled = buffer[:, :, : self._longest]
        return filled[self._window] if self._is_window else filled[self._rows]
