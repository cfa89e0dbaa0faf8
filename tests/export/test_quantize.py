"""Packed weights, unpacked by simple code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.quantize import quantize_blocks, quantize_rows


def unpack(values: np.ndarray, scales: np.ndarray, bits: int) -> np.ndarray:
    n_out, n_blocks, _ = values.shape
    if bits == 4:
        values = np.stack([values & 15, values >> 4], axis=-1).reshape(n_out, n_blocks, -1)
    return ((values.astype(np.float32) - 2 ** (bits - 1)) * scales[..., None]).reshape(n_out, -1)


@pytest.mark.parametrize("bits", [4, 8])
@given(seed=st.integers(0, 1000), spread=st.floats(1e-6, 1e4), block_size=st.sampled_from([16, 32, 128]))
def test_every_weight_is_within_a_step_of_its_block(bits: int, seed: int, spread: float, block_size: int) -> None:
    weight = (np.random.default_rng(seed).standard_normal((3, 256)) * spread).astype(np.float32)
    values, scales = quantize_blocks(weight, bits, block_size)
    assert values.shape == (3, 256 // block_size, block_size * bits // 8) and values.dtype == np.uint8
    assert scales.shape == (3, 256 // block_size) and scales.dtype == np.float32
    error = np.abs(unpack(values, scales, bits) - weight).reshape(3, -1, block_size)
    # the largest value of a block may lose up to a fifth, and one of the other sign a step more, for the others' sake
    largest = np.abs(weight).reshape(3, -1, block_size).max(axis=-1, keepdims=True)
    assert (error <= np.maximum(np.abs(scales[..., None]) * 0.51, 0.33 * largest)).all()


def test_a_scale_is_chosen_for_the_least_error() -> None:
    weight = np.random.default_rng(0).standard_normal((8, 64)).astype(np.float32)
    values, scales = quantize_blocks(weight, 4, 32)
    blocks = weight.reshape(8, 2, 32)
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=-1, keepdims=True), axis=-1)
    full = -largest / 8
    plain = np.clip(np.rint(blocks / full), -8, 7) * full
    assert np.square(unpack(values, scales, 4) - weight).sum() < np.square(plain.reshape(8, 64) - weight).sum()


@pytest.mark.parametrize("bits", [4, 8])
def test_zeros_stay_zeros(bits: int) -> None:
    values, scales = quantize_blocks(np.zeros((2, 32), dtype=np.float32), bits, 32)
    assert not unpack(values, scales, bits).any() and np.isfinite(scales).all()


@given(seed=st.integers(0, 1000), spread=st.floats(1e-6, 1e4))
def test_whole_rows_are_within_half_a_step(seed: int, spread: float) -> None:
    weight = (np.random.default_rng(seed).standard_normal((3, 100)) * spread).astype(np.float32)
    weight[1] = 0
    values, scales = quantize_rows(weight)
    assert values.dtype == np.int8 and values.shape == weight.shape and np.abs(values.astype(int)).max() == 127
    assert (np.abs(values * scales[:, None] - weight) <= 0.501 * scales[:, None]).all()
    assert not values[1].any()
