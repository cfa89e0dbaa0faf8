"""The eight published experiments, each a branch of ``bigcode/santacoder`` (arXiv 2301.03988, sections 4 and 5).

The page's menus, the data pipeline and the trainer (``train/variants.py``) share this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PUBLISHED = "bigcode/santacoder"
FilterName = Literal["stars", "fertility", "comments", "dedup-alt"]

_FILTERS: dict[FilterName, str] = {
    "stars": "repositories with 5 GitHub stars or more",
    "fertility": "files with many characters per token",
    "comments": "files with 1 % to 80 % comments",
    "dedup-alt": "stronger near-deduplication",
}


@dataclass(frozen=True)
class Experiment:
    """The experiment of a branch, trained on 118 B tokens times ``length``. ``filters`` are applied after the base
    filters, in this order.
    """

    branch: str
    multi_query: bool
    fill_in_the_middle: bool
    filters: tuple[FilterName, ...] = ()
    length: int = 1

    @property
    def attention(self) -> str:
        return "multi-query attention" if self.multi_query else "multi-head attention"

    @property
    def objective(self) -> str:
        return "left to right and fill-in-the-middle" if self.fill_in_the_middle else "left to right"

    @property
    def data(self) -> str:
        return " and ".join(_FILTERS[name] for name in self.filters) or "base filters"

    @property
    def description(self) -> str:
        """One line for a menu."""
        twice = ", twice the steps" if self.length == 2 else ""
        return f"{self.attention} · {self.objective} · {self.data}{twice}"


EXPERIMENTS = {
    experiment.branch: experiment
    for experiment in (
        Experiment("mha", multi_query=False, fill_in_the_middle=True),
        Experiment("no-fim", multi_query=True, fill_in_the_middle=False),
        Experiment("fim", multi_query=True, fill_in_the_middle=True),
        Experiment("stars", multi_query=True, fill_in_the_middle=True, filters=("stars",)),
        Experiment("fertility", multi_query=True, fill_in_the_middle=True, filters=("fertility",)),
        Experiment("comments", multi_query=True, fill_in_the_middle=True, filters=("comments",)),
        Experiment("dedup-alt", multi_query=True, fill_in_the_middle=True, filters=("dedup-alt",)),
        Experiment("final", multi_query=True, fill_in_the_middle=True, filters=("comments", "dedup-alt"), length=2),
    )
}


def experiment(branch: str) -> Experiment | None:
    """The experiment of a branch, or None. ``main`` is ``final``."""
    return EXPERIMENTS.get("final" if branch == "main" else branch)
