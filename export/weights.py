"""The stored weights of a checkpoint, as graphs need them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from santacoder.config import SantaCoderConfig

Weights = Callable[[str], np.ndarray]
"""A stored tensor by its name in the checkpoint, as float32."""


def ungroup(stored: np.ndarray, config: SantaCoderConfig) -> np.ndarray:
    """Reorder the rows of a multi-head ``c_attn`` from (query, key, value) of each head to all queries, keys,
    values.
    """
    by_head = stored.reshape(config.n_head, 3, config.head_dim, *stored.shape[1:])
    return by_head.swapaxes(0, 1).reshape(stored.shape)
