"""What can go wrong in a bee yard. Every message is a sentence for the beekeeper."""

from __future__ import annotations


class BeeYardError(Exception):
    """Something cannot be done in this bee yard."""


class UnknownHiveError(BeeYardError):
    """There is no hive with this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no hive {name} in this bee yard.")
        self.name = name


class HoneyLedgerError(BeeYardError):
    """The honey ledger cannot record this harvest."""

    def __init__(self, grams: int) -> None:
        super().__init__(f"A harvest of {grams} grams cannot be recorded.")
        self.grams = grams
