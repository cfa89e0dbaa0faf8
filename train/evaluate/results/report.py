"""Scores as tables, and their publication with the revision."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from santacoder import checkpoints, weight_files
from santacoder.checkpoints import EVAL_FILE, GENERATION_FILE, CheckpointError
from santacoder.fim import FimOrder
from train.evaluate.results.compare import Difference
from train.evaluate.results.estimators import confidence_interval
from train.evaluate.results.result import Result, Score, read_results
from train.evaluate.tasks.infilling import BENCHMARKS

_HEADING = "## Scores"


def table(results: Iterable[Result]) -> str:
    """A Markdown table: benchmark, number of tasks and samples, metric, score with its confidence interval."""
    lines = ["| benchmark | tasks | samples | metric | score | 95 % interval |", "|---|---|---|---|---|---|"]
    for result in results:
        samples = min((n for n, _ in result.tasks.values()), default=0)
        for metric, score in result.scores().items():
            cells = [
                result.name,
                f"{len(result.tasks):,}",
                str(samples),
                metric,
                f"{score.value:.4f}",
                _interval(score),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def difference_table(differences: Iterable[Difference]) -> str:
    """A Markdown table; differences that may be due to chance are marked."""
    lines = ["| benchmark | metric | tasks | A | B | B − A | 95 % interval | |", "|---|---|---|---|---|---|---|---|"]
    for one in differences:
        interval = " … ".join(f"{end:+.4f}" for end in one.interval or ())
        verdict = ("clear" if one.is_clear else "may be chance") if one.interval else "a single number"
        lines.append(
            f"| {one.benchmark} | {one.metric} | {one.n_tasks:,} | {one.a:.4f} | {one.b:.4f} | {one.b - one.a:+.4f} "
            f"| {interval} | {verdict} |"
        )
    return "\n".join(lines)


def publish_scores(repo_id: str, branch: str, results: Sequence[Result], *, store: Path) -> str:
    """Add a commit to ``branch`` with ``results`` in ``eval.json`` and in the model card, and return its sha.

    Earlier scores are kept unless they were measured again. If infilling was measured in both orders, and one of them
    is clearly better, ``generation_config.json`` gets it as the default for requests.

    Raises:
        CheckpointError: the branch does not exist, or its newest commit has other weights than those measured.
    """
    newest = checkpoints.resolve(repo_id, branch, store=store)
    for result in results:
        if not _same_weights(repo_id, result, newest, store):
            raise CheckpointError(
                f"{result.name} was measured on {result.model} at {result.sha}, whose weights differ from those of "
                f"{repo_id}@{branch}; measure that revision."
            )
    known = {
        result.name: result for result in (read_results(newest / EVAL_FILE) if (newest / EVAL_FILE).exists() else [])
    }
    known.update({result.name: result for result in results})
    merged = [known[name] for name in sorted(known)]
    files = {EVAL_FILE: (json.dumps({"results": [result.to_json() for result in merged]}) + "\n").encode()}
    if all(any(result.benchmark == benchmark for result in merged) for benchmark in BENCHMARKS.values()):
        generation = json.loads((newest / GENERATION_FILE).read_text()) if (newest / GENERATION_FILE).exists() else {}
        generation.pop("fim_order", None)
        noted = {"fim_order": order} if (order := best_order(merged)) else {}
        files[GENERATION_FILE] = (json.dumps({**generation, **noted}, indent=2) + "\n").encode()
    card = newest / "README.md"
    if card.exists():
        files[card.name] = with_scores(card.read_text(), merged).encode()
    return checkpoints.add_files(repo_id, branch, files, store=store)


def best_order(results: Sequence[Result]) -> FimOrder | None:
    """The order with the higher exact match; None if the difference over all tasks may be chance."""
    psm, spm = (
        {
            (result.language, task): score
            for result in results
            if result.benchmark == BENCHMARKS[order]
            for task, score in result.per_task("exact match").items()
        }
        for order in ("psm", "spm")
    )
    differences = [psm[task] - spm[task] for task in sorted(psm.keys() & spm.keys())]
    if not differences:
        return None
    low, high = confidence_interval(differences)
    return "psm" if low > 0 else "spm" if high < 0 else None


def with_scores(card: str, results: Sequence[Result]) -> str:
    """Add a section of ``results`` to ``card``, in place of an earlier one or before the other sections."""
    without = re.sub(rf"^{_HEADING}\n.*?(?=^## |\Z)", "", card, flags=re.MULTILINE | re.DOTALL)
    section = (
        f"{_HEADING}\n{table(results)}\n\nMeasured with `python -m train.evaluate`; intervals by the bootstrap over "
        f"tasks. `{EVAL_FILE}` has the score of every task and the settings.\n\n"
    )
    first = re.search(r"^## ", without, flags=re.MULTILINE)
    place = first.start() if first else len(without)
    return without[:place] + section + without[place:]


def _same_weights(repo_id: str, result: Result, newest: Path, store: Path) -> bool:
    if result.model != repo_id:
        return False
    return weight_files.are_equal(checkpoints.resolve(repo_id, result.sha, store=store), newest)


def _interval(score: Score) -> str:
    return f"{score.interval[0]:.4f} … {score.interval[1]:.4f}" if score.interval else ""
