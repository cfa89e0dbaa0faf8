"""The eight published experiments, each a branch of ``bigcode/santacoder`` (arXiv 2301.03988, sections 4 and 5)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Experiment:
    """What a branch was trained on and for; all had 118 B tokens, ``final`` twice as many."""

    branch: str
    architecture: str
    objective: str
    data_filter: str

    @property
    def description(self) -> str:
        """One line for a menu."""
        return f"{self.architecture} · {self.objective} · {self.data_filter}"


_MQA, _MHA = "multi-query attention", "multi-head attention"
_FIM, _AR = "left to right and fill-in-the-middle", "left to right"

EXPERIMENTS = {
    experiment.branch: experiment
    for experiment in (
        Experiment("mha", _MHA, _FIM, "base filters"),
        Experiment("no-fim", _MQA, _AR, "base filters"),
        Experiment("fim", _MQA, _FIM, "base filters"),
        Experiment("stars", _MQA, _FIM, "repositories with 5 GitHub stars or more"),
        Experiment("fertility", _MQA, _FIM, "files with many characters per token"),
        Experiment("comments", _MQA, _FIM, "files with 1 % to 80 % comments"),
        Experiment("dedup-alt", _MQA, _FIM, "stronger near-deduplication"),
        Experiment("final", _MQA, _FIM, "stronger near-deduplication and comments, twice the steps"),
    )
}


def experiment(branch: str) -> Experiment | None:
    """The experiment of a branch; ``main`` is ``final``."""
    return EXPERIMENTS.get("final" if branch == "main" else branch)
