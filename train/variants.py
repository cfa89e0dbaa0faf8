"""What the published experiments (``santacoder/experiments.py``) mean for the data pipeline and for a training run."""

from __future__ import annotations

from typing import Any

from santacoder.errors import UserError
from santacoder.experiments import EXPERIMENTS, Experiment, experiment

FIM_RATE = 0.5  # arXiv 2301.03988, section 5.1


def variant(name: str) -> Experiment:
    """The experiment of a branch name.

    Raises:
        UserError: there is none.
    """
    found = experiment(name)
    if found is None:
        raise UserError(f"There is no variant {name}; the eight are {', '.join(EXPERIMENTS)}.")
    return found


def training_settings(name: str) -> dict[str, Any]:
    """The fields of ``TrainConfig`` that tell this variant from the others; its data come from the pipeline.

    ``steps`` is not among them: multiply yours by the experiment's ``length``.
    """
    found = variant(name)
    return {"multi_query": found.multi_query, "fim_rate": FIM_RATE if found.fill_in_the_middle else 0.0}
