"""The result of a benchmark on a revision, with everything needed to reproduce it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from santacoder.atomic import replacing
from santacoder.engine.engine import Engine
from santacoder.errors import UserError
from train.evaluate.results.estimators import confidence_interval, pass_at_k, wilson_interval

_MEANS = {
    "infilling": "exact match",
    "infilling-without-brackets": "exact match",
    "infilling-spm": "exact match",
    "infilling-spm-without-brackets": "exact match",
    "repetition": "repeat themselves",
    "empty": "empty",
    "docstrings": "BLEU",
    "bits-per-byte": "bits per byte",
    "bodies": "parse",
    "verbatim": "with a copied run",
    "memorization": "continued exactly",
}
_KS = (1, 10, 100)

Tasks = dict[str, tuple[int, float]]


@dataclass(frozen=True)
class Score:
    """The mean over all tasks and its 95 % confidence interval (None for a single task)."""

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Result:
    """A result. ``tasks`` has, for each task, the number of samples and the sum of their scores; a pass or match scores
    1.

    ``settings`` are the requested settings; ``environment`` is the software and hardware used.
    """

    benchmark: str
    language: str
    model: str
    revision: str
    sha: str
    settings: dict[str, Any]
    environment: dict[str, Any]
    tasks: dict[str, tuple[int, float]]

    @property
    def name(self) -> str:
        """Benchmark, language and temperature: results of two models are comparable if they have the same name."""
        temperature = self.settings.get("temperature")
        return f"{self.benchmark} {self.language}" + (f" T={temperature}" if temperature is not None else "")

    def per_task(self, metric: str) -> dict[str, float]:
        """The score of each task for one of :attr:`metrics`."""
        k = int(metric.removeprefix("pass@")) if metric.startswith("pass@") else 1
        return {name: pass_at_k(n, c, k) for name, (n, c) in self.tasks.items()}

    @property
    def metrics(self) -> list[str]:
        """The metrics that there are enough samples for; none without tasks."""
        if not self.tasks:
            return []
        if mean := _MEANS.get(self.benchmark):
            return [mean]
        fewest = min(n for n, _ in self.tasks.values())
        return [f"pass@{k}" for k in _KS if k <= fewest]

    def scores(self) -> dict[str, Score]:
        found = {}
        for metric in self.metrics:
            values = list(self.per_task(metric).values())
            found[metric] = Score(sum(values) / len(values), _interval(values) if len(values) > 1 else None)
        return found

    def to_json(self) -> dict[str, Any]:
        scores = {metric: asdict(score) for metric, score in self.scores().items()}
        return {**asdict(self), "scores": scores}

    def write(self, path: Path) -> None:
        with replacing(path) as file:
            file.write((json.dumps(self.to_json(), indent=1) + "\n").encode())


def _interval(values: Sequence[float]) -> tuple[float, float]:
    """By the bootstrap; if all tasks fail or all pass, it would have no width, and Wilson's interval is used."""
    is_all_or_nothing = set(values) in ({0.0}, {1.0})
    return wilson_interval(sum(values), len(values)) if is_all_or_nothing else confidence_interval(values)


def from_json(document: Any, place: str) -> Result:
    """Parse a result.

    Raises:
        UserError: ``document``, read from ``place``, is not a result.
    """
    try:
        fields = {key: document[key] for key in Result.__dataclass_fields__}
        fields["tasks"] = {name: (int(n), float(c)) for name, (n, c) in fields["tasks"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{place} is not a result of python -m train.evaluate ({error!r}).") from error
    return Result(**fields)


def read_results(path: Path) -> list[Result]:
    """All results in a file (``result.json``, ``eval.json``) or anywhere in a folder, sorted by name.

    Raises:
        UserError: there are none, or they are damaged.
    """
    files = sorted(path.rglob("result.json")) if path.is_dir() else [path]
    found = []
    for file in files:
        try:
            document = json.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise UserError(f"{file} cannot be read: {error}.") from error
        documents = document.get("results", [document]) if isinstance(document, dict) else [document]
        found += [from_json(one, str(file)) for one in documents]
    if not found:
        raise UserError(f"There is no finished result in {path}.")
    return sorted(found, key=lambda result: result.name)


@dataclass(frozen=True)
class Subject:
    """The revision under evaluation, and the engine that runs it."""

    model: str
    revision: str
    sha: str
    engine: Engine

    @property
    def environment(self) -> dict[str, Any]:
        runner = self.engine.runner
        return environment(runner.name, runner.precision, runner.device)


def environment(runner: str, precision: str, device: str) -> dict[str, Any]:
    """The software and hardware of a measurement, and its date."""
    import torch  # whose metadata may lack the build, such as +cu130

    date = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {"runner": runner, "precision": precision, "device": device, "torch": torch.__version__, "date": date}
