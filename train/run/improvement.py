"""Whether a model is better on held-out files after the training than before."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from train.config import TrainConfig
from train.data.pack import PackedData
from train.evaluate.results.estimators import wilson_interval
from train.json_lines import read_json_lines
from train.run.folder import RunFolder
from train.run.validation import choose_questions

_LEAST_FALL = 0.01  # of bits per byte, that counts


@dataclass(frozen=True)
class HeldOut:
    """A model on the held-out files: how many of their lines it fills in exactly, and its bits per byte of them."""

    n_exact: int
    bits_per_byte: float


@dataclass(frozen=True)
class Improvement:
    """A model on ``n`` held-out lines, and on the files that they are from, ``before`` the training and ``after``."""

    n: int
    before: HeldOut
    after: HeldOut

    @property
    def is_one(self) -> bool:
        """Whether more lines are filled in. A small model fills in too few for their number alone to tell, so fewer
        bits per byte also count, unless the number falls by more than the standard deviation of such a count."""
        before, after = self.before, self.after
        takes_fewer_bits = after.bits_per_byte < (1 - _LEAST_FALL) * before.bits_per_byte
        is_within_chance = after.n_exact >= before.n_exact - math.sqrt(before.n_exact)
        return after.n_exact > before.n_exact or (takes_fewer_bits and is_within_chance)

    def __str__(self) -> str:
        before, after = self.before, self.after
        return (
            f"Of {self.n} held-out lines, it fills in {self._said(after)}; before, {self._said(before)}. "
            f"Their files take {after.bits_per_byte:.3f} bits per byte; before, {before.bits_per_byte:.3f}."
        )

    def _said(self, held_out: HeldOut) -> str:
        low, high = wilson_interval(held_out.n_exact, self.n)
        rate, lowest, highest = (f"{100 * share:.0f} %" for share in (held_out.n_exact / self.n, low, high))
        return f"{held_out.n_exact} exactly ({rate}; 95 % interval {lowest} to {highest})"


def improvement(run: RunFolder, data: PackedData, config: TrainConfig) -> Improvement | None:
    """What ``run`` measured before its first step and after its last; None if one of them is missing."""
    records = [record for record in read_json_lines(run.metrics) if "fim_exact_match" in record]
    by_step = {record["step"]: record for record in records}
    n = len(choose_questions(data, config.fim_questions))
    if not (n and -1 in by_step and config.steps - 1 in by_step):
        return None
    return Improvement(n, _held_out(by_step[-1], n), _held_out(by_step[config.steps - 1], n))


def _held_out(record: dict[str, Any], n: int) -> HeldOut:
    return HeldOut(round(record["fim_exact_match"] * n), record["bits_per_byte"])
