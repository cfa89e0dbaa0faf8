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
from tests.santacoder.local_hub import Client, HubRepository, local_hub


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


def test_branches_on_the_hub_are_listed_without_being_downloaded(tmp_path: Path) -> None:
    with local_hub() as hub:
        repository = hub.repositories["someone/coder"] = HubRepository()
        for number in range(5):
            repository.commit(f"branch-{number}", "weights", {"config.json": b"{}", "model.safetensors": b"weights"})
        client = Client(hub)
        expression = (
            "__import__('app.ui.revision_menus').ui.revision_menus._branch_menu(store, 'someone/coder', 'main')"
        )
        labels = client.call(tmp_path, f"[label for label, _ in {expression}.choices]", offline=False)
        client.close()
    assert labels == ["main", *(f"branch-{number}" for number in range(5))]
    assert len(hub.requests) == 1, hub.requests
