"""The ablation's differences and intervals compared with scipy, and the page written from results."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from santacoder.experiments import EXPERIMENTS
from train.embedded.ablation import Row, differences, main
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


def write_results(out: Path) -> None:
    """Write a score for every run; ``stars`` is worse by far more than the difference between seeds."""
    for number, run in enumerate(nano_runs()):
        value = 2 + 0.001 * number + (run.experiment.branch == "stars")
        for benchmark, language in (("bits-per-byte", "java"), ("infilling", "python"), ("bodies", "python")):
            result = Result(benchmark, language, "santacoder/nano", run.branch, "0" * 40, {}, {}, {"one": (1, value)})
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


def test_a_run_that_was_not_measured_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--docs", str(tmp_path / "docs")]) == 1
    assert "nano-mha" in capsys.readouterr().err
