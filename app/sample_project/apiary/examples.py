"""A bee yard to try things with."""

from __future__ import annotations

from datetime import date

from apiary.harvest import harvest_bee_yard
from apiary.hives import BroodFrame, Hive
from apiary.ledger import HoneyLedger
from apiary.report import print_report
from apiary.yard import BeeYard


def example_hive(name: str, queen_year: int, n_frames: int) -> Hive:
    """A hive with capped frames."""
    hive = Hive(name, queen_year)
    for number in range(n_frames):
        hive.add_frame(BroodFrame(number, honey_grams=1_500, is_capped=True))
    return hive


def example_bee_yard() -> BeeYard:
    """A bee yard with three hives."""
    bee_yard = BeeYard("Orchard")
    bee_yard.settle_hive(example_hive("Clover", 2024, 4))
    bee_yard.settle_hive(example_hive("Heather", 2022, 2))
    bee_yard.settle_hive(example_hive("Linden", 2025, 1))
    return bee_yard


def main() -> None:
    """Harvest the bee yard and print the report."""
    bee_yard = example_bee_yard()
    honey_ledger = HoneyLedger()
    harvest_bee_yard(bee_yard, honey_ledger, date(2026, 7, 12))
    print_report(bee_yard, honey_ledger, 2026)


if __name__ == "__main__":
    main()
