"""The ablation's differences and intervals compared with scipy, and the page written from results."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from santacoder.experiments import EXPERIMENTS
from santacoder.languages import LANGUAGES
from train.embedded.ablation import METRICS, Row, differences, main, rows
from train.embedded.recipe import nano_runs
from train.evaluate.results.result import Result


def test_with_two_rows_of_seeds_the_interval_is_the_t_tests() -> None:
    fim, stars = [1.9, 2.1, 2.3], [2.5, 2.2, 2.6]
    found = differences([Row("fim", {"infilling": fim}), Row("stars", {"infilling": stars})], "infilling")["stars"]
    expected = stats.ttest_ind(stars, fim).confidence_interval(0.95)
    assert found.value == pytest.approx(np.mean(stars) - np.mean(fim))
    assert (found.value - found.margin, found.value + found.margin) == pytest.approx(
        (expected.low, expected.high), rel=1e-3
    )
    assert found.is_clear == (expected.low > 0)


def write_results(out: Path, lines_filled_in: float = 1.0) -> None:
    """Write a score for every run; ``stars`` is worse by far more than the difference between seeds."""
    for number, run in enumerate(nano_runs()):
        value = 2 + 0.001 * number + (run.experiment.branch == "stars")
        for benchmark, language in product(METRICS, LANGUAGES):
            score = value * lines_filled_in if benchmark == "infilling" else value
            result = Result(benchmark, language, "santacoder/nano", run.branch, "0" * 40, {}, {}, {"one": (1, score)})
            result.write(out / "scores" / f"nano-{run.branch}" / f"{benchmark}-{language}" / "result.json")
        folder = out / "runs" / f"nano-{run.branch}"
        folder.mkdir(parents=True)
        shape = {"n_layer": 2, "n_embd": 8, "sequence_length": 16, "batch_size": 2, "steps": 10}
        (folder / "config.json").write_text(json.dumps(shape))
        (folder / "metrics.jsonl").write_text('{"step": 4, "bits_per_byte": 3.0}\n{"step": 9, "bits_per_byte": 2.0}\n')
        data = out / "data" / run.data
        data.mkdir(parents=True, exist_ok=True)
        (data / "manifest.json").write_text(json.dumps({"packages": [{"split": "train", "bytes": 5_000_000}]}))


def test_the_page_says_what_is_clear_and_what_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_results(tmp_path)
    assert main([str(tmp_path), "--docs", str(tmp_path / "docs")]) == 0
    page = (tmp_path / "docs" / "ablation.md").read_text()
    assert all(f"| {branch} |" in page for branch in EXPERIMENTS)
    assert "- `stars` is clearly worse than `fim` in bits per byte, as its pass@100 is worse in the paper" in page
    assert "- `mha` is not distinguishable from `fim` in bits per byte here" in page
    for picture in ("ablation.svg", "ablation-loss.svg"):
        assert f"(images/{picture})" in page and (tmp_path / "docs" / "images" / picture).stat().st_size > 1000


def test_a_column_has_a_place_only_if_some_branch_scores(tmp_path: Path) -> None:
    for name, lines_filled_in in (("some", 0.1), ("none", 0.0)):
        write_results(tmp_path / name, lines_filled_in)
        assert main([str(tmp_path / name), "--docs", str(tmp_path / name / "docs")]) == 0
    some, none = ((tmp_path / name / "docs" / "ablation.md").read_text() for name in ("some", "none"))
    assert some.count("| bits per byte | lines filled in | bodies that parse |") == 2
    assert none.count("| bits per byte | bodies that parse |") == 2
    assert "no branch filled in any" in none and "no branch filled in any" not in some
    drawings = [(tmp_path / name / "docs" / "images" / "ablation.svg").read_text() for name in ("some", "none")]
    assert ["lines filled in" in drawing for drawing in drawings] == [True, False]


def test_a_run_that_was_not_measured_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--docs", str(tmp_path / "docs")]) == 1
    assert "nano-mha" in capsys.readouterr().err


def test_what_is_missing_of_a_run_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_results(tmp_path)

    def refusal(missing: Path) -> str:
        moved = missing.rename(tmp_path / "moved")
        assert main([str(tmp_path), "--docs", str(tmp_path / "docs")]) == 1
        moved.rename(missing)
        return capsys.readouterr().err

    scores = tmp_path / "scores" / "nano-stars"
    assert "nano-stars has no result of bodies in java" in refusal(scores / "bodies-java" / "result.json")
    for missing in ("runs/nano-stars/config.json", "runs/nano-fim/config.json", "data/stars/manifest.json"):
        assert f"{tmp_path / missing} cannot be read" in refusal(tmp_path / missing)
    metrics = tmp_path / "runs" / "nano-mha" / "metrics.jsonl"
    assert f"{metrics} has no validations" in refusal(metrics)
    for results in tmp_path.rglob("bodies-java"):
        shutil.rmtree(results)
    assert main([str(tmp_path), "--docs", str(tmp_path / "docs")]) == 1  # the page speaks of three languages
    assert "has no result of bodies in java" in capsys.readouterr().err
    assert not (tmp_path / "docs").exists()


def without(*names: str) -> Callable[[dict], dict]:
    return lambda document: {name: value for name, value in document.items() if name not in names}


@pytest.mark.parametrize(
    ("file", "change", "sentence"),
    [
        ("scores/nano-mha/bits-per-byte-java/result.json", lambda result: {**result, "tasks": {"one": [1, math.nan]}},
         "The result of bits-per-byte in java in {}/scores/nano-mha is not a number"),
        ("scores/nano-fim-seed1/bodies-java/result.json", lambda result: {**result, "tasks": {"one": [1, math.nan]}},
         "The result of bodies in java in {}/scores/nano-fim-seed1 is not a number"),
        ("scores/nano-mha/bodies-java/result.json", lambda result: {**result, "tasks": {}},
         "nano-mha has no result of bodies in java"),
        ("runs/nano-mha/config.json", without("batch_size"), "config.json cannot be read (it has no 'batch_size')"),
        ("runs/nano-fim/config.json", without("steps"), "config.json cannot be read (it has no 'steps')"),
        ("data/stars/manifest.json", without("packages"), "manifest.json cannot be read (it has no 'packages')"),
        ("data/stars/manifest.json", lambda manifest: [manifest], "manifest.json cannot be read (list indices"),
    ],
)  # fmt: skip
def test_damaged_results_are_named_and_nothing_is_written(
    file: str, change: Callable[[dict], object], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_results(tmp_path)
    document = json.loads((tmp_path / file).read_text())
    (tmp_path / file).write_text(json.dumps(change(document)))
    assert main([str(tmp_path), "--docs", str(tmp_path / "docs")]) == 1
    assert sentence.format(tmp_path) in capsys.readouterr().err
    assert not (tmp_path / "docs").exists()


def test_a_further_seed_counts_once_it_is_evaluated(tmp_path: Path) -> None:
    write_results(tmp_path)
    for branch in ("fim-seed1", "stars-seed2"):
        shutil.rmtree(tmp_path / "scores" / f"nano-{branch}" / "infilling-python")
    shutil.rmtree(tmp_path / "scores" / "nano-stars-seed1" / "bodies-python")
    for benchmark in ("bits-per-byte-java", "infilling-python"):
        shutil.rmtree(tmp_path / "scores" / "nano-stars-seed1" / benchmark)
    seeds = {row.branch: len(row.scores["bits-per-byte"]) for row in rows(tmp_path, nano_runs())}
    assert seeds.pop("fim") == 2 and set(seeds.values()) == {1}
