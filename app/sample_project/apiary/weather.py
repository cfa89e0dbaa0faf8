"""The weather: hives are opened only on warm and calm days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from apiary.harvest import harvest_bee_yard
from apiary.inspection import HiveInspection, inspect_bee_yard
from apiary.ledger import HarvestEntry, HoneyLedger
from apiary.yard import BeeYard


@dataclass(frozen=True)
class DayForecast:
    """The forecast of a day at the bee yard."""

    day: date
    celsius: float
    wind_speed: float

    def is_good_for_bees(self) -> bool:
        """Whether hives can be opened: it is warm, and the wind is weak."""
        return self.celsius >= 14 and self.wind_speed < 8


def first_good_day(forecasts: list[DayForecast]) -> date | None:
    """The first day on which hives can be opened."""
    for forecast in forecasts:
        if forecast.is_good_for_bees():
            return forecast.day
    return None


def inspect_on_good_day(bee_yard: BeeYard, forecasts: list[DayForecast]) -> list[HiveInspection]:
    """Inspect every hive on the first good day."""
    day = first_good_day(forecasts)
    return inspect_bee_yard(bee_yard, day) if day else []


def harvest_on_good_day(
    bee_yard: BeeYard, honey_ledger: HoneyLedger, forecasts: list[DayForecast]
) -> list[HarvestEntry]:
    """Harvest every hive that is ready on the first good day."""
    day = first_good_day(forecasts)
    return harvest_bee_yard(bee_yard, honey_ledger, day) if day else []
