"""The harvest: honey is taken from the hives and recorded in the honey ledger."""

from __future__ import annotations

from datetime import date

from apiary.hives import Hive
from apiary.ledger import HarvestEntry, HoneyLedger
from apiary.yard import BeeYard


def harvest_hive(hive: Hive, honey_ledger: HoneyLedger, day: date) -> HarvestEntry:
    """Take the ripe honey of a hive, and record it in the honey ledger."""
    grams = hive.ripe_honey()
    for frame in hive.frames:
        if frame.is_capped:
            frame.honey_grams = 0
            frame.is_capped = False
    return honey_ledger.record_harvest(hive, day, grams)


def harvest_bee_yard(bee_yard: BeeYard, honey_ledger: HoneyLedger, day: date) -> list[HarvestEntry]:
    """Take the honey of every hive that is ready, and record it in the honey ledger."""
    entries = []
    for hive in bee_yard.hives_ready_for_harvest():
        entries.append(harvest_hive(hive, honey_ledger, day))
    return entries


def grams_to_expect(bee_yard: BeeYard) -> int:
    """The grams that a harvest would give today."""
    return sum(hive.ripe_honey() for hive in bee_yard.hives_ready_for_harvest())
