"""The diary of a bee yard, kept in a file of JSON lines."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from apiary.hives import BroodFrame, Hive
from apiary.ledger import HoneyLedger
from apiary.yard import BeeYard


def hive_to_json(hive: Hive) -> str:
    """A hive with its frames as one line of JSON."""
    frames = [[frame.number, frame.honey_grams, frame.is_capped] for frame in hive.frames]
    return json.dumps({"name": hive.name, "queen_year": hive.queen_year, "frames": frames})


def hive_from_json(line: str) -> Hive:
    """The hive of a line that :func:`hive_to_json` wrote."""
    values = json.loads(line)
    hive = Hive(values["name"], values["queen_year"])
    for number, honey_grams, is_capped in values["frames"]:
        hive.add_frame(BroodFrame(number, honey_grams, is_capped))
    return hive


def save_bee_yard(bee_yard: BeeYard, path: Path) -> None:
    """Write every hive of the bee yard into a file."""
    lines = [hive_to_json(hive) for hive in bee_yard.hives_by_name()]
    path.write_text("\n".join(lines))


def load_bee_yard(place: str, path: Path) -> BeeYard:
    """Read the bee yard from a file that :func:`save_bee_yard` wrote."""
    bee_yard = BeeYard(place)
    for line in path.read_text().splitlines():
        bee_yard.settle_hive(hive_from_json(line))
    return bee_yard


def harvest_days(honey_ledger: HoneyLedger, year: int) -> list[date]:
    """The days of a year on which honey was taken."""
    return sorted({entry.day for entry in honey_ledger.entries_of_year(year)})
