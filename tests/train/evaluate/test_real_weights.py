"""The published model, if available: its golden outputs, and the beginning of its published table."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

import pytest

from santacoder import checkpoints
from train.evaluate.__main__ import main
from train.evaluate.arguments import REAL_WEIGHTS
from train.evaluate.benchmark_commands import open_subject
from train.evaluate.execution.sandbox import Sandbox
from train.evaluate.results import published
from train.evaluate.results.result import read_results

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(REAL_WEIGHTS not in os.environ, reason=f"{REAL_WEIGHTS} names no folder with the 1.1 B weights"),
]


def test_the_golden_continuation() -> None:
    args = Namespace(
        repo=os.environ[REAL_WEIGHTS], revision="main", device="auto", store=checkpoints.DEFAULT_STORE, output=None
    )
    with open_subject(args) as subject:
        told = published.golden_table(subject.engine)
    assert "(the same)" in told
    assert float(told.split("at most ")[1].split()[0]) < 0.05  # published in half precision


def test_infilling_is_near_the_published_score(benchmark_data: Path, tmp_path: Path) -> None:
    arguments = ["infilling", os.environ[REAL_WEIGHTS], "--tasks", "100", "--output", str(tmp_path)]
    assert main([*arguments, "--data", str(benchmark_data)]) == 0
    expected = {"python": 0.44, "java": 0.62, "javascript": 0.60}
    for result in read_results(tmp_path):
        low, high = result.scores()["exact match"].interval
        assert low - 0.05 <= expected[result.language] <= high + 0.05


def test_human_eval_is_near_the_published_score(sandbox: Sandbox, benchmark_data: Path, tmp_path: Path) -> None:
    arguments = [
        "multipl-e",
        os.environ[REAL_WEIGHTS],
        "--suite",
        "humaneval",
        "--language",
        "python",
        "--samples",
        "4",
    ]
    assert main([*arguments, "--temperature", "0.2", "--data", str(benchmark_data), "--output", str(tmp_path)]) == 0
    (result,) = read_results(tmp_path)
    low, high = result.scores()["pass@1"].interval
    assert low <= 0.18 <= high
