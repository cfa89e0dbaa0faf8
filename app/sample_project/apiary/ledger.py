"""The honey ledger: what was harvested, when, and from which hive."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from apiary.errors import HoneyLedgerError
from apiary.hives import Hive


@dataclass(frozen=True)
class HarvestEntry:
    """A line of the honey ledger."""

    hive_name: str
    day: date
    grams: int


class HoneyLedger:
    """All harvests, in the order in which they were recorded."""

    def __init__(self) -> None:
        self._entries: list[HarvestEntry] = []

    def record_harvest(self, hive: Hive, day: date, grams: int) -> HarvestEntry:
        """Write a harvest into the honey ledger.

        Raises:
            HoneyLedgerError: the weight is not positive.
        """
        if grams <= 0:
            raise HoneyLedgerError(grams)
        entry = HarvestEntry(hive.name, day, grams)
        self._entries.append(entry)
        return entry

    def entries_of_hive(self, hive: Hive) -> list[HarvestEntry]:
        """The harvests of one hive."""
        return [entry for entry in self._entries if entry.hive_name == hive.name]

    def entries_of_year(self, year: int) -> list[HarvestEntry]:
        """The harvests of one year."""
        return [entry for entry in self._entries if entry.day.year == year]

    def total_grams(self) -> int:
        """The grams of all harvests."""
        return sum(entry.grams for entry in self._entries)
