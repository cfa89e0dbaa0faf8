"""A folder of code with identifiers that no other code has."""

from __future__ import annotations

from pathlib import Path

_MODULE = '''"""{Thing}s of the harbour."""

from harbour.tidebook import Tidebook, TidebookError


class {Thing}Keeper:
    """Keeps {thing}s in a tidebook."""

    def __init__(self, tidebook: Tidebook) -> None:
        self.tidebook = tidebook

    def moor_{thing}(self, name, length):
        """Write a {thing} into the tidebook."""
        if self.tidebook.find_berth(name) is not None:
            raise TidebookError(f"{{name}} has been moored before")
        return self.tidebook.moor_vessel(name, length)

    def release_{thing}(self, name):
        """Strike a {thing} from the tidebook."""
        berth = self.tidebook.find_berth(name)
        if berth is None:
            raise TidebookError(f"{{name}} has not been moored")
        return self.tidebook.release_vessel(berth)


def moor_all_{thing}s(tidebook, names):
    keeper = {Thing}Keeper(tidebook)
    return [keeper.moor_{thing}(name, 12) for name in names]
'''
THINGS = ("barge", "cutter", "dinghy", "ferry", "galley", "ketch", "launch", "schooner", "trawler", "yawl")


def write_harbour(folder: Path) -> None:
    """Write ten modules that use a ``Tidebook``."""
    for thing in THINGS:
        path = folder / "harbour" / thing / f"{thing}s.py"
        path.parent.mkdir(parents=True)
        path.write_text(_MODULE.format(thing=thing, Thing=thing.capitalize()))
