"""The bee yard: all hives of a beekeeper."""

from __future__ import annotations

from collections.abc import Iterator

from apiary.errors import UnknownHiveError
from apiary.hives import Hive


class BeeYard:
    """Hives by name."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._hives: dict[str, Hive] = {}

    def settle_hive(self, hive: Hive) -> None:
        """Put a hive into the yard."""
        self._hives[hive.name] = hive

    def find_hive(self, name: str) -> Hive:
        """The hive with this name.

        Raises:
            UnknownHiveError: there is none.
        """
        if name not in self._hives:
            raise UnknownHiveError(name)
        return self._hives[name]

    def hives_by_name(self) -> Iterator[Hive]:
        """All hives in the order of their names."""
        for name in sorted(self._hives):
            yield self._hives[name]

    def hives_ready_for_harvest(self) -> list[Hive]:
        """The hives with enough ripe honey."""
        return [hive for hive in self.hives_by_name() if hive.is_ready_for_harvest()]
