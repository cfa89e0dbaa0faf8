"""The data and training settings of the published experiments (``santacoder/experiments.py``)."""

from __future__ import annotations

from typing import Any

from santacoder.errors import UserError
from santacoder.experiments import EXPERIMENTS, Experiment, experiment

FIM_RATE = 0.5  # arXiv 2301.03988, section 5.1


def variant(name: str) -> Experiment:
    """The experiment of a branch name.

    Raises:
        UserError: there is no such experiment.
    """
    found = experiment(name)
    if found is None:
        raise UserError(f"There is no variant {name}; the variants are {', '.join(EXPERIMENTS)}.")
    return found


def training_settings(name: str) -> dict[str, Any]:
    """The fields of ``TrainConfig`` specific to this variant; its data come from the pipeline.

    ``steps`` is not included: multiply yours by the experiment's ``length``.
    """
    found = variant(name)
    return {"multi_query": found.multi_query, "fim_rate": FIM_RATE if found.fill_in_the_middle else 0.0}
