"""The frame of a plot of curves by step: where points and axis labels are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

Curve = Sequence[tuple[int, float]]
"""Pairs of step and value."""

_MARGIN = 0.06


@dataclass(frozen=True)
class Frame:
    """Steps from 0 to ``last`` and values from ``low`` to ``high``, drawn on 100 × 100."""

    last: int
    low: float
    high: float

    @staticmethod
    def around(curves: Sequence[Curve], *, last: int, after: float = 0) -> Frame:
        """The frame of ``curves``, with room for their values from the step ``after`` on."""
        values = [value for curve in curves for step, value in curve if step >= after]
        margin = ((max(values) - min(values)) or 1) * _MARGIN
        return Frame(max(1, last), min(values) - margin, max(values) + margin)

    def place(self, step: float, value: float) -> tuple[float, float]:
        """Coordinates from the left and top, clipped to the edge."""
        top = 100 * (self.high - value) / (self.high - self.low)
        return round(100 * step / self.last, 2), round(min(100.0, max(0.0, top)), 2)

    def line(self, curve: Curve) -> str:
        """The points of ``curve`` in SVG notation."""
        return " ".join("{},{}".format(*self.place(*point)) for point in curve)

    def values(self, count: int = 4) -> list[tuple[str, float]]:
        """About ``count`` round values with their distances from the top."""
        step = _round_number((self.high - self.low) / count)
        decimals = max(0, -floor(log10(step)))
        rounds = [step * number for number in range(ceil(self.low / step), floor(self.high / step) + 1)]
        return [(f"{value:.{decimals}f}", self.place(0, value)[1]) for value in rounds]

    def steps(self, count: int = 5) -> list[tuple[str, float]]:
        """About ``count`` round steps with their distances from the left."""
        every = max(1, round(_round_number(self.last / count)))
        return [(f"{step:,}", self.place(step, self.low)[0]) for step in range(0, self.last + 1, every)]


def _round_number(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not less than ``least``."""
    power = 10.0 ** floor(log10(least))
    return next((power * each for each in (1, 2, 5) if power * each >= least), power * 10)
