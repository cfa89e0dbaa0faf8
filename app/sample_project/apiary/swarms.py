"""Swarms: hives with a young queen and much honey may leave."""

from apiary.yard import BeeYard


def hives_about_to_swarm(bee_yard: BeeYard, year: int) -> list[str]:
    """The names of the hives that may leave."""
    names = []
    for hive in bee_yard.hives_by_name():
        if hive.queen_age(year) <= 1 and hive.is_ready_for_harvest():
            names.append(hive.name)
    return names
