"""Shares of trials, with confidence intervals: win rates of blind votes, acceptance rates of suggestions."""

from __future__ import annotations

from dataclasses import dataclass

from train.evaluate.results.estimators import wilson_interval


@dataclass(frozen=True)
class Rate:
    """``points`` of ``n`` trials; a trial may give half a point."""

    points: float
    n: int

    @property
    def share(self) -> float:
        return self.points / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval, as if the trials were independent."""
        return wilson_interval(self.points, self.n)
