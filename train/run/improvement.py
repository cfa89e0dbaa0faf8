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
            return "There are no held-out lines that it filled in before and after."
        return f"Of {self.n} held-out lines, it fills in {self._said(self.after)}; before, {self._said(self.before)}."

    def _said(self, count: int) -> str:
        low, high = wilson_interval(count, self.n)
        return f"{count} exactly ({count / self.n:.0%}; 95 % interval {low:.0%} to {high:.0%})"


def held_out_lines(run: RunFolder, data: PackedData, config: TrainConfig) -> HeldOutLines:
    """The lines filled in before the first step of ``run`` and after its last; none if it did not count one of them."""
    records = [record for record in read_json_lines(run.metrics) if "fim_exact_match" in record]
    shares = {record["step"]: record["fim_exact_match"] for record in records}
    before, after = shares.get(-1), shares.get(config.steps - 1)
    if before is None or after is None:
        return HeldOutLines(0, 0, 0)
    n = len(choose_questions(data, config.fim_questions))
    return HeldOutLines(n, round(before * n), round(after * n))
