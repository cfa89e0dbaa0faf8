"""What the branch menu tells of a model of ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from app.ui.revision_menus import _described
from santacoder import checkpoints
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model


@pytest.fixture
def scored(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    checkpoints.publish(random_model(), tokenizer, "test/tiny", dtype=torch.float32, store=tmp_path)
    results = [
        {
            "benchmark": "humaneval",
            "language": "python",
            "scores": {"pass@1": {"value": 0.181}, "pass@10": {"value": 0.3}},
        },
        {"benchmark": "humaneval", "language": "java", "scores": {"pass@1": {"value": 0.15}}},
        {"benchmark": "infilling", "language": "java", "scores": {"exact match": {"value": 0.62}}},
    ]
    checkpoints.add_files("test/tiny", "main", {"eval.json": json.dumps({"results": results}).encode()}, store=tmp_path)
    return tmp_path


def test_a_branch_is_listed_with_its_scores(scored: Path) -> None:
    described = _described(scored, "test/tiny", "main")
    assert described.startswith("main — multi-query attention · 3 layers of 64 · 128 positions")
    assert described.endswith(" · pass@1: python 18.1%, java 15.0% · exact match: java 62.0%")


def test_a_damaged_file_of_scores_does_not_hide_the_branch(scored: Path) -> None:
    checkpoints.add_files("test/tiny", "main", {"eval.json": b"{"}, store=scored)
    assert _described(scored, "test/tiny", "main") == "main"
