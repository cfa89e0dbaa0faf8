"""Votes of blind comparisons, on either database, and the win rates that result from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from app.errors import ShareRefused
from app.generation.records import Comparison
from app.shares.rates import Rate
from app.shares.store import ShareStore
from tests.app.shares.generations import generation
from train.evaluate.results.estimators import wilson_interval


def compared(*revisions: str, prompt: str = "a = ") -> Comparison:
    return Comparison(tuple(generation(prompt, texts=(name,), revision=name) for name in revisions))


def test_the_first_vote_of_a_visitor_counts(store: ShareStore) -> None:
    comparison = compared("main", "other")
    assert store.votes.win_rates("santacoder/nano") == {}
    assert store.votes.add(comparison, 0, "ann")
    assert not store.votes.add(comparison, 1, "ann")
    assert not store.votes.add(compared("other", "main"), 0, "ann")  # the same texts in another order
    assert store.votes.add(comparison, 0, "ben") and store.votes.add(comparison, None, "eve")
    assert store.votes.add(compared("main", "other", prompt="b = "), 1, "ann")
    assert store.votes.win_rates("santacoder/nano") == {"main": Rate(2.5, 4), "other": Rate(1.5, 4)}
    assert store.votes.win_rates("santacoder/mini") == {}


def test_a_vote_for_one_of_several_is_a_win_over_each(store: ShareStore) -> None:
    store.votes.add(compared("main", "fim", "stars"), 1, "ann")
    assert store.votes.win_rates("santacoder/nano") == {
        "main": Rate(0.5, 2),
        "fim": Rate(2.0, 2),
        "stars": Rate(0.5, 2),
    }
    store.votes.add(compared("main", "main"), 1, "ann")  # chosen twice
    assert store.votes.win_rates("santacoder/nano")["main"] == Rate(1.5, 3)


def test_nobody_cannot_vote_nor_for_a_single_text(store: ShareStore) -> None:
    with pytest.raises(ShareRefused, match="no cookie"):
        store.votes.add(compared("main", "other"), 0, "")
    with pytest.raises(ShareRefused, match="at least two"):
        store.votes.add(compared("main"), 0, "ann")
    assert store.votes.win_rates("santacoder/nano") == {}


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_wilsons(counts: tuple[int, int]) -> None:
    expected = binomtest(*counts).proportion_ci(method="wilson")
    assert wilson_interval(*counts) == pytest.approx((expected.low, expected.high), abs=1e-6)
