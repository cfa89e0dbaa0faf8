"""Curves of a model's branches by step, with a button for each commit of the chosen branch."""

from __future__ import annotations

from collections.abc import Sequence

from app.branch_facts import Branch, Curve, stages
from app.ui.html import render
from app.ui.plot_frame import Frame

METRICS = {
    "validation_loss": "Validation loss, nats per token",
    "bits_per_byte": "Bits per byte of held-out files",
    "fim_exact_match": "Lines filled in exactly",
    "loss": "Training loss, nats per token",
}
# the first steps, where the loss falls from that of guessing, would flatten the rest of the curve
_LEFT_OUT = 0.04


def metrics_of(branch: Branch) -> list[str]:
    """The metrics that can be drawn."""
    return [name for name in METRICS if len(branch.curves.get(name, [])) > 1]


def branch_chart(branches: Sequence[Branch], chosen: Branch, metric: str, *, first: int = 1) -> str:
    """HTML: the curve of ``chosen`` for one of its :func:`metrics_of`, in front of the other branches' curves. Its
    commits have buttons from the number ``first`` on."""
    curve = chosen.curves[metric]
    others = [branch for branch in branches if branch.name != chosen.name and metric in metrics_of(branch)]
    curves = [branch.curves[metric] for branch in (chosen, *others)]
    last = max(each[-1][0] for each in curves)
    frame = Frame.around(curves, last=last, after=_LEFT_OUT * last)
    numbers = stages(chosen.commits)
    return render(
        "branch_chart",
        chosen=chosen.name,
        spoken=f"{METRICS[metric]}: {curve[-1][1]:.3f} after {curve[-1][0]:,} steps on branch {chosen.name}",
        lines=[
            *(("other", branch.name, frame.line(branch.curves[metric])) for branch in others),
            ("chosen", chosen.name, frame.line(curve)),
        ],
        commits=[
            (number, f"{commit.step:,}", *frame.place(commit.step, _value_at(curve, commit.step)))
            for number, commit in enumerate(chosen.commits, 1)
            # the curve is that of the last stage of training
            if commit.step is not None and commit.step <= frame.last and numbers[number - 1] == numbers[-1]
            if number >= first
        ],
        low=f"{frame.low:.3g}",
        high=f"{frame.high:.3g}",
        middle=f"{frame.last // 2:,}",
        last=f"{frame.last:,}",
    )


def _value_at(curve: Curve, step: int) -> float:
    """The value nearest to ``step``."""
    return min(curve, key=lambda point: abs(point[0] - step))[1]
