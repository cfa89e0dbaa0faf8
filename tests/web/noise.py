"""Pseudo-random numbers that are the same in Python and in JavaScript (``web/tests/noise.js``)."""

from __future__ import annotations

import numpy as np

_STEP = 0x9E3779B9


def mix(words: np.ndarray) -> np.ndarray:
    """The finalizer of MurmurHash3, on [N] uint32."""
    words = words ^ (words >> np.uint32(16))
    words = words * np.uint32(0x85EBCA6B)
    words = words ^ (words >> np.uint32(13))
    words = words * np.uint32(0xC2B2AE35)
    return words ^ (words >> np.uint32(16))


def mixed(word: int) -> int:
    return int(mix(np.array([word & 0xFFFFFFFF], dtype=np.uint32))[0])


def noise(seed: int, size: int) -> np.ndarray:
    """[size] float32 between -2 and 2, with 16 bits, so that sums of them with small integers are exact."""
    places = np.arange(size, dtype=np.uint32) * np.uint32(_STEP)
    return (mix(places + np.uint32(mixed(seed))) >> np.uint32(16)).astype(np.float32) / 2**14 - 2
