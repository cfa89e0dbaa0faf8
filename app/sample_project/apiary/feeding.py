"""Feeding: hives with little honey are given syrup before the winter."""

from __future__ import annotations

from apiary.hives import Hive
from apiary.yard import BeeYard

WINTER_GRAMS = 12_000


def missing_grams(hive: Hive) -> int:
    """The grams of syrup that a hive needs for the winter."""
    stored = sum(frame.honey_grams for frame in hive.frames)
    return max(0, WINTER_GRAMS - stored)


def feed_hive(hive: Hive, grams: int) -> None:
    """Fill the frames of a hive with syrup, equally."""
    for frame in hive.frames:
        frame.honey_grams += grams // len(hive.frames)


def feed_bee_yard(bee_yard: BeeYard) -> int:
    """Feed every hive that needs syrup; returns the grams of syrup."""
    total = 0
    for hive in bee_yard.hives_by_name():
        grams = missing_grams(hive)
        feed_hive(hive, grams)
        total += grams
    return total
