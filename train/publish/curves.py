"""Training curves as numbers and as SVG plots small enough to publish with the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_WIDTH, _HEIGHT, _MARGIN = 420, 220, 40
_MAX_POINTS = 300


def points(name: str, records: Sequence[dict[str, Any]]) -> list[tuple[int, float]]:
    """The metric ``name`` of ``records`` as (steps done, value) pairs, thinned; the last pair is kept."""
    found = [(record["step"] + 1, round(record[name], 6)) for record in records if name in record]
    return found[:: -max(1, -(-len(found) // _MAX_POINTS))][::-1]


def drawing(name: str, points: Sequence[tuple[int, float]]) -> str:
    """Plot the metric ``name`` over the steps, as SVG."""
    steps, values = [step for step, _ in points] or [0], [value for _, value in points] or [0.0]
    low, high = min(values), max(values)

    def place(step: float, value: float) -> str:
        x = _MARGIN + (step - steps[0]) / max(1, steps[-1] - steps[0]) * (_WIDTH - 2 * _MARGIN)
        y = _HEIGHT - _MARGIN - (value - low) / ((high - low) or 1) * (_HEIGHT - 2 * _MARGIN)
        return f"{x:.1f},{y:.1f}"

    line = " ".join(place(step, value) for step, value in points)
    bottom = _HEIGHT - _MARGIN
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}"
 viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="11" fill="#777">
<text x="{_WIDTH / 2}" y="18" text-anchor="middle">{name.replace("_", " ")}</text>
<path d="M{_MARGIN} {_MARGIN}V{bottom}H{_WIDTH - _MARGIN}" fill="none" stroke="#777"/>
<text x="{_MARGIN - 4}" y="{_MARGIN + 4}" text-anchor="end">{high:.3g}</text>
<text x="{_MARGIN - 4}" y="{bottom}" text-anchor="end">{low:.3g}</text>
<text x="{_MARGIN}" y="{bottom + 16}">{steps[0]:,}</text>
<text x="{_WIDTH - _MARGIN}" y="{bottom + 16}" text-anchor="end">{steps[-1]:,} steps</text>
<polyline points="{line}" fill="none" stroke="#c33" stroke-width="1.5"/>
</svg>
"""
