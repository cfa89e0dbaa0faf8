"""Jars: the honey of a harvest is filled into jars and sold."""

from __future__ import annotations

from dataclasses import dataclass

from apiary.ledger import HarvestEntry, HoneyLedger

GRAMS_PER_JAR = 500


@dataclass(frozen=True)
class JarOrder:
    """An order of honey jars."""

    customer: str
    n_jars: int

    def grams(self) -> int:
        """The grams of honey in the order."""
        return self.n_jars * GRAMS_PER_JAR


def jars_of_harvest(entry: HarvestEntry) -> int:
    """How many jars a harvest fills."""
    return entry.grams // GRAMS_PER_JAR


def jars_of_year(honey_ledger: HoneyLedger, year: int) -> int:
    """How many jars the harvests of a year fill."""
    return sum(jars_of_harvest(entry) for entry in honey_ledger.entries_of_year(year))


def can_be_filled(order: JarOrder, honey_ledger: HoneyLedger) -> bool:
    """Whether the honey ledger has enough grams for an order."""
    return order.grams() <= honey_ledger.total_grams()
