"""The guarantee of winnowing for any tokens: a long enough common run has a common fingerprint at the same position."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from santacoder.attribution.winnowing import RUN, WINDOW, fingerprints, guaranteed

GUARANTEED = guaranteed(WINDOW)
tokens = st.lists(st.integers(0, 3), max_size=150)


def array(values: list[int]) -> np.ndarray:
    return np.array(values, np.uint64)


def repeats(values: list[int]) -> bool:
    """Whether ``values`` only repeats one to four values."""
    return any(values[period:] == values[:-period] for period in range(1, 5))


@given(
    st.lists(st.integers(0, 3), min_size=GUARANTEED, max_size=3 * GUARANTEED),
    st.tuples(tokens, tokens),
    st.tuples(tokens, tokens),
)
def test_a_shared_run_is_found(shared: list[int], before: tuple[list[int], ...], behind: tuple[list[int], ...]) -> None:
    places = []
    for left, right in zip(before, behind, strict=True):
        hashes, found = fingerprints(array([*left, *shared, *right]), WINDOW)
        inside = (found >= len(left)) & (found + RUN <= len(left) + len(shared))
        places.append({(hash_, place - len(left)) for hash_, place in zip(hashes[inside], found[inside], strict=True)})
    runs = [shared[start : start + RUN] for start in range(len(shared) - RUN + 1)]
    if not all(map(repeats, runs)):
        assert places[0] & places[1]


@given(st.lists(st.integers(0, 9), min_size=RUN, max_size=400))
def test_fingerprints_are_the_rightmost_minima_of_all_windows(values: list[int]) -> None:
    n = len(values) - RUN + 1
    everything = np.array([run_hash(values[start : start + RUN]) for start in range(n)], np.uint64)
    allowed = [not repeats(values[start : start + RUN]) for start in range(n)]
    expected = set()
    for start in range(max(1, n - WINDOW + 1)):
        window = [place for place in range(start, min(n, start + WINDOW)) if allowed[place]]
        if window:
            expected.add(min(window, key=lambda place: (everything[place] >> np.uint64(24), -place)))
    hashes, found = fingerprints(array(values), WINDOW)
    assert found.tolist() == sorted(expected)
    assert np.array_equal(hashes, everything[found])


def run_hash(values: list[int]) -> int:
    """The hash of one run, computed with Python integers."""
    total = sum(value * pow(0x9E3779B97F4A7C15, place, 2**64) for place, value in enumerate(values)) % 2**64
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        total = (total ^ (total >> 33)) * factor % 2**64
    return total ^ (total >> 33)


@given(st.lists(st.lists(st.integers(0, 9), max_size=90), min_size=1, max_size=5))
def test_no_run_reaches_into_another_file(files: list[list[int]]) -> None:
    starts = np.cumsum([0, *map(len, files)])
    _, found = fingerprints(array([value for file in files for value in file]), WINDOW, starts[1:-1])
    for place in found:
        assert np.searchsorted(starts, place, side="right") == np.searchsorted(starts, place + RUN - 1, side="right")


def test_density_is_that_of_the_paper() -> None:
    _, found = fingerprints(np.random.default_rng(0).integers(0, 2**63, 100_000).astype(np.uint64), WINDOW)
    assert abs(len(found) / 100_000 - 2 / (WINDOW + 1)) < 0.002
