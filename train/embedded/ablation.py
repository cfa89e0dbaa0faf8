"""Write ``docs/ablation.md`` from the results: the paper's ablation of architecture, objective and filters, at this
scale.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from santacoder.atomic import replacing
from santacoder.errors import UserError
from santacoder.experiments import EXPERIMENTS
from santacoder.languages import LANGUAGES
from santacoder.paths import user_path
from train.embedded import ablation_text
from train.embedded.ablation_plots import draw_curves, draw_differences
from train.embedded.recipe import Run, nano_runs
from train.evaluate.results.published import ABLATIONS
from train.evaluate.results.result import read_results
from train.evaluate.run_folder import RESULT_FILE
from train.json_lines import read_json_lines

METRICS = {"bits-per-byte": "bits per byte", "infilling": "lines filled in", "bodies": "bodies that parse"}
# Student's t for 95 %, by degrees of freedom
_T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306}


@dataclass(frozen=True)
class Row:
    """The scores of a branch: for each metric, the mean over the languages for each seed."""

    branch: str
    scores: dict[str, list[float]]


@dataclass(frozen=True)
class Difference:
    """The difference between a branch and ``fim``, and half the width of its 95 % interval."""

    value: float
    margin: float

    @property
    def is_clear(self) -> bool:
        return abs(self.value) > self.margin


def rows(out: Path, runs: Sequence[Run]) -> list[Row]:
    """Read the scores of ``runs``, one row per branch. A further seed counts only if it has been evaluated in full.

    Raises:
        UserError: a run of the first seed has not been evaluated in full, or a score is not a number.
    """
    found = {run.experiment.branch: Row(run.experiment.branch, {metric: [] for metric in METRICS}) for run in runs}
    for run in runs:
        scores = _scores(out, run)
        missing = [key for key in product(METRICS, LANGUAGES) if key not in scores]
        if missing and run.seed == 0:
            metric, language = missing[0]
            raise UserError(
                f"nano-{run.branch} has no result of {metric} in {language}: measure it with python -m train.embedded."
            )
        for metric in METRICS if not missing else ():
            mean = statistics.mean(scores[metric, language] for language in LANGUAGES)
            found[run.experiment.branch].scores[metric].append(mean)
    return list(found.values())


def _scores(out: Path, run: Run) -> dict[tuple[str, str], float]:
    """The scores of a run by metric and language; empty if it has not been evaluated."""
    folder = out / "scores" / f"nano-{run.branch}"
    if not any(folder.rglob(RESULT_FILE)):
        return {}
    found = {}
    for result in read_results(folder):
        if result.benchmark in METRICS and result.tasks:
            (score,) = result.scores().values()
            if not math.isfinite(score.value):
                raise UserError(
                    f"The result of {result.benchmark} in {result.language} in {folder} is not a number: the training "
                    "may have failed. Train and measure that run again."
                )
            found[result.benchmark, result.language] = score.value
    return found


def differences(table: Sequence[Row], metric: str) -> dict[str, Difference]:
    """The difference between each branch and ``fim``.

    The standard deviation between seeds is estimated from all rows with several seeds together, and assumed to be the
    same for all rows.

    Raises:
        UserError: no row has several seeds.
    """
    by_branch = {row.branch: row.scores[metric] for row in table}
    repeated = [scores for scores in by_branch.values() if len(scores) > 1]
    if not repeated:
        raise UserError("No branch was evaluated with two seeds, so the variation between seeds is unknown.")
    freedom = sum(len(scores) - 1 for scores in repeated)
    variance = sum(statistics.variance(scores) * (len(scores) - 1) for scores in repeated) / freedom
    fim = by_branch["fim"]
    return {
        branch: Difference(
            statistics.mean(scores) - statistics.mean(fim),
            _T[freedom] * (variance * (1 / len(scores) + 1 / len(fim))) ** 0.5,
        )
        for branch, scores in by_branch.items()
        if branch != "fim"
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Returns 0 on success, 1 if results are missing or the page cannot be written."""
    parser = argparse.ArgumentParser(prog="python -m train.embedded.ablation", description=__doc__)
    parser.add_argument("out", type=user_path, help="folder of python -m train.embedded")
    parser.add_argument("--docs", type=user_path, default=Path("docs"), help="folder for ablation.md (default: docs)")
    args = parser.parse_args(arguments)
    try:
        write(args.out, args.docs)
    except (UserError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(args.docs / "ablation.md")
    return 0


def write(out: Path, docs: Path) -> None:
    """Write ``ablation.md`` and its images into ``docs``.

    Raises:
        UserError: a run has not been evaluated in full, a file of it is missing or damaged, or matplotlib is missing;
            nothing is written.
        OSError: the disk is full.
    """
    table = rows(out, nano_runs())
    metrics = {metric: title for metric, title in METRICS.items() if _is_above_zero(table, metric)}
    found = {metric: differences(table, metric) for metric in metrics}
    curves = {branch: _losses(out, branch) for branch in EXPERIMENTS}
    data = {branch: _corpus(out, branch) for branch in EXPERIMENTS}
    with _reading(out / "runs" / "nano-fim" / "config.json") as settings:
        shape = {name: int(settings[name]) for name in ablation_text.SETTINGS}
    n_tasks = max(len(r.tasks) for r in read_results(out / "scores" / "nano-fim") if r.benchmark == "infilling")
    text = ablation_text.document(metrics, table, found, ABLATIONS, data, shape, n_tasks, _stages(out))
    fim = statistics.mean(ABLATIONS["fim"])
    in_paper = {branch: statistics.mean(scores) - fim for branch, scores in ABLATIONS.items()}
    draw_differences(metrics, found, in_paper, docs / "images" / "ablation.svg")
    draw_curves(curves, docs / "images" / "ablation-loss.svg")
    with replacing(docs / "ablation.md") as file:
        file.write(text.encode())


def _is_above_zero(table: Sequence[Row], metric: str) -> bool:
    """Whether any run scores at all. A column of zeros would tell nothing about the branches."""
    return any(score > 0 for row in table for score in row.scores[metric])


def _losses(out: Path, branch: str) -> list[tuple[int, float]]:
    """Tokens seen and bits per byte on the held-out packages, at each validation."""
    folder = out / "runs" / f"nano-{Run(EXPERIMENTS[branch]).branch}"
    with _reading(folder / "config.json") as config:
        size = config["batch_size"] * config["sequence_length"]
    records = [record for record in read_json_lines(folder / "metrics.jsonl") if "bits_per_byte" in record]
    if not records:
        raise UserError(f"{folder / 'metrics.jsonl'} has no validations: train the run again.")
    return [((record["step"] + 1) * size, record["bits_per_byte"]) for record in records]


def _corpus(out: Path, branch: str) -> float:
    """Megabytes of training files that the branch's filters kept."""
    with _reading(out / "data" / Run(EXPERIMENTS[branch]).data / "manifest.json") as manifest:
        return sum(package["bytes"] for package in manifest["packages"] if package["split"] == "train") / 1e6


@contextmanager
def _reading(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON object in ``path``, for a block that reads its entries.

    Raises:
        UserError: it cannot be read, or lacks an entry.
    """
    try:
        yield json.loads(path.read_text())
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else error
        raise UserError(f"{path} cannot be read ({why}): write it with python -m train.embedded.") from error


def _stages(out: Path) -> str:
    path = out / "stages.md"
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
