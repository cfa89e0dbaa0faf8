"""A bar chart of the scores of one or more models, with confidence intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from santacoder.errors import UserError
from train.evaluate.results.result import Result, Score

_HEIGHT_OF_A_BAR = 0.22  # inches


def plot(results: Mapping[str, Sequence[Result]], path: Path) -> None:
    """Plot ``results``, by the model's label, into ``path``, whose suffix selects the format (png, svg, pdf).

    Raises:
        UserError: matplotlib is not installed, or does not support the format.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError("Charts need matplotlib: pip install matplotlib.") from error
    scores: dict[str, dict[str, Score]] = {}
    for label, of_model in results.items():
        for result in of_model:
            for metric, score in result.scores().items():
                scores.setdefault(f"{result.name}\n{metric}", {})[label] = score
    labels = list(results)
    figure = Figure(figsize=(8, 1 + _HEIGHT_OF_A_BAR * len(scores) * (len(labels) + 1)), layout="constrained")
    axes = figure.subplots()
    for index, label in enumerate(labels):
        rows = [row for row, of_models in enumerate(scores.values()) if label in of_models]
        shown = [of_models[label] for of_models in scores.values() if label in of_models]
        places = [row + (index - (len(labels) - 1) / 2) / (len(labels) + 1) for row in rows]
        axes.barh(
            places,
            [score.value for score in shown],
            height=1 / (len(labels) + 1),
            xerr=_error_bars(shown),
            label=label,
            error_kw={"elinewidth": 1, "ecolor": "0.3"},
        )
    axes.set_yticks(range(len(scores)), list(scores), fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=len(labels), frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


def _error_bars(scores: Sequence[Score]) -> list[list[float]]:
    """Distances from the scores to the lower and upper ends of their intervals."""
    ends = [score.interval or (score.value, score.value) for score in scores]
    below = [max(0.0, score.value - low) for score, (low, _) in zip(scores, ends, strict=True)]
    above = [max(0.0, high - score.value) for score, (_, high) in zip(scores, ends, strict=True)]
    return [below, above]
