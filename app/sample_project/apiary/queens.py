"""Queens: which hives need a new one, and how a hive is given one."""

from __future__ import annotations

from apiary.errors import BeeYardError
from apiary.hives import Hive
from apiary.inspection import OLDEST_QUEEN
from apiary.yard import BeeYard


def replace_queen(bee_yard: BeeYard, name: str, year: int) -> Hive:
    """Give the hive with this name a queen of this year.

    Raises:
        BeeYardError: the queen of the hive is not older.
    """
    hive = bee_yard.find_hive(name)
    if hive.queen_age(year) <= 0:
        raise BeeYardError(f"The queen of {hive.name} is not older than {year}.")
    hive.queen_year = year
    return hive


def hives_with_old_queens(bee_yard: BeeYard, year: int) -> list[Hive]:
    """The hives whose queens are too old."""
    return [hive for hive in bee_yard.hives_by_name() if hive.queen_age(year) > OLDEST_QUEEN]


def replace_old_queens(bee_yard: BeeYard, year: int) -> int:
    """Give every hive with an old queen a new one; returns how many there were."""
    hives = hives_with_old_queens(bee_yard, year)
    for hive in hives:
        replace_queen(bee_yard, hive.name, year)
    return len(hives)
