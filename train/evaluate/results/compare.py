"""Comparison of two models on the same tasks, with confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from santacoder import checkpoints
from santacoder.checkpoints import EVAL_FILE, CheckpointError
from santacoder.errors import UserError
from train.evaluate.results.estimators import confidence_interval
from train.evaluate.results.result import Result, read_results


@dataclass(frozen=True)
class Difference:
    """Mean scores of both models over their ``n_tasks`` common tasks, and the 95 % interval of the paired difference
    ``b - a``; None for a single task.
    """

    benchmark: str
    metric: str
    n_tasks: int
    a: float
    b: float
    interval: tuple[float, float] | None

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes 0."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)


def results_of(what: str, store: Path = checkpoints.DEFAULT_STORE) -> list[Result]:
    """The results in a folder or file, or of a revision named ``org/name`` or ``org/name@revision``.

    Raises:
        UserError: there are none.
        CheckpointError: the revision does not exist.
    """
    if Path(what).exists():
        return read_results(Path(what))
    repo_id, _, revision = what.partition("@")
    file = checkpoints.resolve(repo_id, revision or "main", store=store) / EVAL_FILE
    if not file.exists():
        raise CheckpointError(f"{what} has no scores yet: evaluate it, then run python -m train.evaluate publish.")
    return read_results(file)


def compare(a: Sequence[Result], b: Sequence[Result]) -> list[Difference]:
    """The differences for all metrics that both models have, over the tasks that both completed.

    Raises:
        UserError: the models have no benchmark in common, or one was measured on different files or tasks.
    """
    differences = []
    of_a = {result.name: result for result in a}
    for other in b:
        if (one := of_a.get(other.name)) is None:
            continue
        _require_same_tasks(one, other)
        tasks = sorted(one.tasks.keys() & other.tasks.keys())
        for metric in [metric for metric in one.metrics if metric in other.metrics] if tasks else []:
            left, right = one.per_task(metric), other.per_task(metric)
            changes = [right[task] - left[task] for task in tasks]
            mean_a, mean_b = (sum(scores[task] for task in tasks) / len(tasks) for scores in (left, right))
            interval = confidence_interval(changes) if len(changes) > 1 else None
            differences.append(Difference(one.name, metric, len(tasks), mean_a, mean_b, interval))
    if not differences:
        have = " and ".join(", ".join(sorted({result.name for result in side})) for side in (a, b))
        raise UserError(f"The models have no benchmark in common; theirs are {have}.")
    return differences


def _require_same_tasks(one: Result, other: Result) -> None:
    """Tasks of the same name are the same, unless the files or all prompts differ that they were made from."""
    n_tasks = [result.settings.get("n_tasks") for result in (one, other)]
    for key in ("sha256", "tasks") if n_tasks[0] == n_tasks[1] else ("sha256",):
        digests = {result.settings[key] for result in (one, other) if key in result.settings}
        if len(digests) > 1:
            raise UserError(
                f"{one.name} was measured on different files or tasks, so its scores cannot be compared: measure both "
                "models on the same ones, or name the results of other benchmarks."
            )
