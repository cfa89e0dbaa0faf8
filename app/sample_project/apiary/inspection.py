"""Inspections: what the beekeeper sees when a hive is opened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from apiary.hives import Hive
from apiary.yard import BeeYard

OLDEST_QUEEN = 3


@dataclass(frozen=True)
class HiveInspection:
    """The result of opening a hive."""

    hive_name: str
    day: date
    needs_new_queen: bool
    needs_more_frames: bool

    def is_worrying(self) -> bool:
        """Whether the beekeeper must do something."""
        return self.needs_new_queen or self.needs_more_frames


def inspect_hive(hive: Hive, day: date) -> HiveInspection:
    """Open a hive and look at the queen and at the frames."""
    return HiveInspection(
        hive_name=hive.name,
        day=day,
        needs_new_queen=hive.queen_age(day.year) > OLDEST_QUEEN,
        needs_more_frames=all(frame.is_capped for frame in hive.frames),
    )


def inspect_bee_yard(bee_yard: BeeYard, day: date) -> list[HiveInspection]:
    """Open every hive of the bee yard, in the order of their names."""
    return [inspect_hive(hive, day) for hive in bee_yard.hives_by_name()]


def worrying_hives(bee_yard: BeeYard, day: date) -> list[str]:
    """The names of the hives that need something."""
    return [inspection.hive_name for inspection in inspect_bee_yard(bee_yard, day) if inspection.is_worrying()]
