"""pass@k compared with its definition, and bootstrap intervals with the normal approximation."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.evaluate.results.estimators import confidence_interval, pass_at_k


@st.composite
def counts(draw: st.DrawFn, most: int) -> tuple[int, int, int]:
    n = draw(st.integers(1, most))
    return n, draw(st.integers(0, n)), draw(st.integers(1, n))


@given(counts(200))
def test_pass_at_k_is_the_closed_form(case: tuple[int, int, int]) -> None:
    n, c, k = case
    assert pass_at_k(n, c, k) == pytest.approx(1 - math.comb(n - c, k) / math.comb(n, k))


@given(counts(8))
def test_pass_at_k_is_the_share_of_draws_with_a_pass(case: tuple[int, int, int]) -> None:
    n, c, k = case
    draws = list(combinations([True] * c + [False] * (n - c), k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, draws)) / len(draws))


@pytest.mark.parametrize("k", [0, 5])
def test_more_draws_than_samples_is_a_sentence(k: int) -> None:
    with pytest.raises(ValueError, match=f"pass@{k} cannot be estimated from 4 samples"):
        pass_at_k(4, 1, k)


def test_the_interval_is_that_of_the_mean() -> None:
    values = np.random.default_rng(1).normal(0.4, 0.2, size=400)
    low, high = confidence_interval(values.tolist())
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)
    assert confidence_interval([0.3] * 20) == pytest.approx((0.3, 0.3))
