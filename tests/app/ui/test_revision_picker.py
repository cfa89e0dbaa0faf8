"""The lists of the picker, from real folders."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import pytest

from app.repositories import Repositories
from app.settings import Settings
from app.ui.revision_picker import picker_lists
from santacoder import checkpoints
from santacoder.experiments import EXPERIMENTS, PUBLISHED
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model

MODEL = "test/tiny"


def lists(store: Path, repo_id: str, branch: str, commit: str, *, downloads: bool = True) -> str:
    settings = Settings(store=store, model=MODEL, allow_downloads=downloads)
    return picker_lists(Repositories(settings), store, repo_id, branch, commit)


def choices(markup: str, kind: str) -> dict[str, str]:
    """The text of each choice by its value."""
    found = re.findall(rf'data-kind="{kind}" data-value="([^"]*)"[^>]*>(.*?)</button>', markup, re.DOTALL)
    return {unescape(value): " ".join(unescape(re.sub("<[^>]*>", " ", text)).split()) for value, text in found}


def publish(store: Path, tokenizer: Tokenizer, branch: str, step: int, loss: float) -> str:
    curve = json.dumps({"validation_loss": [[1, 5.0], [step, loss]]})
    return checkpoints.publish(
        random_model(step),
        tokenizer,
        MODEL,
        branch,
        step=step,
        tokens=step * 10**6,
        validation_loss=loss,
        metrics={"bits_per_byte": loss / 2},
        files={"curves.json": curve},
        store=store,
    )


def test_branches_have_a_difference_and_a_score(tmp_path: Path, tokenizer: Tokenizer) -> None:
    publish(tmp_path, tokenizer, "tuned", 20, 2.0)
    publish(tmp_path, tokenizer, "main", 10, 3.0)
    markup = lists(tmp_path, MODEL, "main", "")
    assert choices(markup, "branch") == {
        "main": "main 1.50 bits per byte 10.0 M tokens in 10 steps",
        "tuned": "tuned 1.00 bits per byte 20.0 M tokens in 20 steps",
    }
    assert re.search(r'data-value="main"[^>]*aria-pressed="true"', markup)
    assert "M parameters" in choices(markup, "model")[MODEL]


def test_a_measured_score_replaces_that_of_the_training(tmp_path: Path, tokenizer: Tokenizer) -> None:
    publish(tmp_path, tokenizer, "main", 10, 3.0)
    results = [
        {"benchmark": "bits-per-byte", "language": language, "scores": {"bits per byte": {"value": value}}}
        for language, value in (("python", 1.0), ("java", 1.5))
    ]
    checkpoints.add_files(MODEL, "main", {"eval.json": json.dumps({"results": results}).encode()}, store=tmp_path)
    assert "1.25 bits per byte" in choices(lists(tmp_path, MODEL, "main", ""), "branch")["main"]


def test_a_further_training_is_newer_though_its_steps_are_fewer(tmp_path: Path, tokenizer: Tokenizer) -> None:
    first = publish(tmp_path, tokenizer, "main", 40, 3.0)
    second = publish(tmp_path, tokenizer, "main", 10, 2.5)
    publish(tmp_path, tokenizer, "main", 20, 2.25)
    markup = lists(tmp_path, MODEL, "main", first)
    found = choices(markup, "commit")
    assert list(found) == ["", second, first]
    assert [text.split(" loss")[0] for text in found.values()] == [
        "stage 2, step 20",
        "stage 2, step 10",
        "stage 1, step 40",
    ]
    assert "counts its steps from 0" in markup
    # the curve is the last stage's, and so are the points on it
    assert re.findall(r'data-commit="(\d)"', markup) == ["2", "3"]


def test_each_point_of_the_curve_is_a_commit_of_the_list(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (10, 20, 30):
        publish(tmp_path, tokenizer, "main", step, 3 - step / 100)
    monkeypatch.setattr("app.ui.revision_picker._MOST_COMMITS", 2)
    markup = lists(tmp_path, MODEL, "main", "")
    listed, points = (re.findall(rf'{name}="(\d+)"', markup) for name in ("data-number", "data-commit"))
    assert sorted(points) == sorted(listed) == ["2", "3"]


def test_the_published_branches_differ_in_words_and_scores(tmp_path: Path) -> None:
    found = choices(lists(tmp_path, PUBLISHED, "main", ""), "branch")
    assert set(found) == {*EXPERIMENTS, "main"} - {"final"}
    assert "Multi-head" in found["mha"] and "HumanEval pass@100 38 %" in found["mha"]
    assert "HumanEval pass@100 49 %" in found["main"]  # and not MBPP's, which is last


def test_names_are_never_markup(tmp_path: Path) -> None:
    markup = lists(tmp_path, "<b>/x", "<i>", "<u>")
    assert "There is no model" in markup and "&lt;b&gt;/x" in markup and "<b>/x" not in markup and "<i>" not in markup


def test_models_that_are_not_served_show_nothing_of_the_users_cache(tmp_path: Path) -> None:
    markup = lists(tmp_path, PUBLISHED, "main", "", downloads=False)
    assert "is not served here" in markup and choices(markup, "branch") == {}
