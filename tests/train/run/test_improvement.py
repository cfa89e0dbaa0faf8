"""When a training counts as an improvement."""

from __future__ import annotations

import pytest

from train.run.improvement import HeldOut, Improvement


@pytest.mark.parametrize(
    "before,after,is_one",
    [
        ((3, 1.0), (4, 1.1), True),  # more lines count whatever the bits
        ((3, 1.0), (3, 0.98), True),
        ((3, 1.0), (3, 0.995), False),  # too little to count
        ((3, 1.0), (3, 1.0), False),
        ((1, 1.0), (0, 0.9), True),
        ((25, 1.0), (20, 0.9), True),
        ((25, 1.0), (19, 0.9), False),  # a loss of more than the root of 25
    ],
)
def test_more_lines_or_fewer_bits(before: tuple[int, float], after: tuple[int, float], is_one: bool) -> None:
    assert Improvement(100, HeldOut(*before), HeldOut(*after)).is_one == is_one


def test_it_says_both_measures() -> None:
    said = str(Improvement(100, HeldOut(1, 1.08), HeldOut(4, 1.012)))
    assert "it fills in 4 exactly (4 %; 95 % interval 2 % to 10 %); before, 1 exactly" in said
    assert "Their files take 1.012 bits per byte; before, 1.080." in said
