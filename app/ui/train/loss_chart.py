"""Training and validation loss of a job in one chart."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, nan

from app.training_jobs import Metrics
from app.ui.html import render
from app.ui.plot_frame import Curve, Frame

_MAX_POINTS = 400


def loss_chart(records: Sequence[Metrics], n_steps: int) -> str:
    """HTML: both curves over all ``n_steps`` of the job, as far as it is; empty before the first point."""
    training, validation = _curve(records, "loss"), _curve(records, "validation_loss")
    curves = [curve for curve in (training, validation) if curve]
    if not curves:
        return ""
    frame = Frame.around(curves, last=max(n_steps, *(curve[-1][0] for curve in curves)))
    latest = [
        f"{name} {curve[-1][1]:.3f} after {curve[-1][0]:,} steps"
        for name, curve in (("training loss", training), ("validation loss", validation))
        if curve
    ]
    return render(
        "loss_chart",
        spoken=", ".join(latest),
        training=frame.line(training),
        validation=frame.line(validation),
        points=[frame.place(*point) for point in validation],
        values=frame.values(),
        steps=frame.steps(),
    )


def _curve(records: Sequence[Metrics], name: str) -> Curve:
    """The values after each step, thinned to what is visible; the newest is kept."""
    points = [(int(record["step"]) + 1, record[name]) for record in records if isfinite(record.get(name, nan))]
    return points[:: -max(1, -(-len(points) // _MAX_POINTS))][::-1]
