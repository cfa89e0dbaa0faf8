"""Whether a model fills in more held-out lines after the training than before."""

from __future__ import annotations

from dataclasses import dataclass

from train.config import TrainConfig
from train.data.pack import PackedData
from train.evaluate.results.estimators import wilson_interval
from train.json_lines import read_json_lines
from train.run.folder import RunFolder
from train.run.validation import choose_questions


@dataclass(frozen=True)
class HeldOutLines:
    """How many of ``n`` held-out lines are filled in exactly, ``before`` the training and ``after``."""

    n: int
    before: int
    after: int

    @property
    def are_more(self) -> bool:
        return self.after > self.before

    def __str__(self) -> str:
        if not self.n:
            return "There are no held-out lines to fill in."
        return f"Of {self.n} held-out lines, it fills in {self._said(self.after)}; before, {self._said(self.before)}."

    def _said(self, count: int) -> str:
        low, high = wilson_interval(count, self.n)
        return f"{count} exactly ({count / self.n:.0%}; 95 % interval {low:.0%} to {high:.0%})"


def held_out_lines(run: RunFolder, data: PackedData, config: TrainConfig) -> HeldOutLines:
    """The lines filled in at the first and at the last validation of ``run``, which validated before its first step."""
    shares = [
        float(record["fim_exact_match"]) for record in read_json_lines(run.metrics) if "fim_exact_match" in record
    ]
    n = len(choose_questions(data, config.fim_questions)) if shares else 0
    return HeldOutLines(n, *(round(share * n) for share in (shares[0], shares[-1]))) if n else HeldOutLines(0, 0, 0)
