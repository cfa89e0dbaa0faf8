"""The report of a year: harvests, jars and queens as text."""

from __future__ import annotations

from apiary.hives import Hive
from apiary.jars import jars_of_year
from apiary.ledger import HoneyLedger
from apiary.queens import hives_with_old_queens
from apiary.yard import BeeYard


def hive_line(hive: Hive, honey_ledger: HoneyLedger) -> str:
    """A line of the report: the hive and what it gave."""
    grams = sum(entry.grams for entry in honey_ledger.entries_of_hive(hive))
    return f"{hive.name}: {grams / 1000:.1f} kg of honey"


def year_report(bee_yard: BeeYard, honey_ledger: HoneyLedger, year: int) -> str:
    """The report of a year, one line for every hive."""
    lines = [f"Bee yard {bee_yard.place}, {year}"]
    for hive in bee_yard.hives_by_name():
        lines.append(hive_line(hive, honey_ledger))
    lines.append(f"{jars_of_year(honey_ledger, year)} jars")
    for hive in hives_with_old_queens(bee_yard, year):
        lines.append(f"{hive.name} needs a new queen")
    return "\n".join(lines)


def print_report(bee_yard: BeeYard, honey_ledger: HoneyLedger, year: int) -> None:
    """Print the report of a year."""
    print(year_report(bee_yard, honey_ledger, year))
