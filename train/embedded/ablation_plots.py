"""The charts of ``docs/ablation.md``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from santacoder.atomic import replacing
from santacoder.errors import UserError

_BRANCHES = ("mha", "no-fim", "stars", "fertility", "comments", "dedup-alt")


def draw_differences(
    titles: Mapping[str, str], found: Mapping[str, Mapping[str, Any]], paper: Mapping[str, float], path: Path
) -> None:
    """Plot the difference between each branch and ``fim``: a panel for each metric, with intervals, and one for the
    paper.

    Raises:
        UserError: matplotlib is not installed.
    """
    figure = _figure((11, 3))
    panels = figure.subplots(1, len(titles) + 1, sharey=True)
    places = range(len(_BRANCHES))
    for axes, (metric, title) in zip(panels, titles.items(), strict=False):
        shown = [found[metric][branch] for branch in _BRANCHES]
        axes.errorbar(
            [one.value for one in shown], places, xerr=[one.margin for one in shown], fmt="o", capsize=3, color="#c33"
        )
        axes.set_title(title + (" (less is better)" if metric == "bits-per-byte" else ""), fontsize=9)
    panels[-1].plot([paper[branch] for branch in _BRANCHES], places, "s", color="#357")
    panels[-1].set_title("paper: HumanEval pass@100", fontsize=9)
    for axes in panels:
        axes.axvline(0, color="0.6", linewidth=1)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(places, _BRANCHES)
    panels[0].invert_yaxis()
    _write(figure, path)


def draw_curves(curves: Mapping[str, Sequence[tuple[int, float]]], path: Path) -> None:
    """Plot bits per byte on the held-out packages over the tokens seen, with a line for each branch.

    Raises:
        UserError: matplotlib is not installed.
    """
    figure = _figure((7, 3.5))
    axes = figure.subplots()
    for branch, points in curves.items():
        axes.plot([tokens / 1e6 for tokens, _ in points], [bits for _, bits in points], marker=".", label=branch)
    axes.set_xlabel("million tokens", fontsize=9)
    axes.set_ylabel("bits per byte", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, ncols=2)
    _write(figure, path)


def _write(figure: Any, path: Path) -> None:
    with replacing(path) as file:
        figure.savefig(file, format="svg", metadata={"Date": None})


def _figure(size: tuple[float, float]) -> Any:
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError("Charts need matplotlib: pip install matplotlib.") from error
    matplotlib.rcParams.update({"svg.hashsalt": "santacoder", "svg.fonttype": "none"})  # reproducible files
    return Figure(figsize=size, layout="constrained", facecolor="white")
