"""Facts about branches, from real folders."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from app.branch_facts import Branch, read_branches, with_several_branches
from app.shares.rates import Rate
from app.ui.branches.chart import branch_chart, metrics_of
from app.ui.branches.measures import name_of, place_of
from app.ui.branches.table import about_branch, branch_table
from santacoder import checkpoints
from santacoder.checkpoints import CheckpointError, RevisionScore
from santacoder.experiments import EXPERIMENTS, PUBLISHED
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model

CURVE = [(step, 5 - step / 100) for step in range(10, 101, 10)]


@pytest.fixture
def trained(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    """A model with four trained experiments, one of which has two earlier commits."""
    for branch, steps in (("main", [200]), ("fim", [10, 50, 100]), ("no-fim", [100]), ("mha", [100])):
        for step in steps:
            checkpoints.publish(
                random_model(step, multi_query=branch != "mha"),
                tokenizer,
                "test/tiny",
                branch,
                step=step,
                tokens=step * 1000,
                validation_loss=5 - step / 100,
                metrics={"bits_per_byte": 1.5},
                files={"curves.json": json.dumps({"validation_loss": [point for point in CURVE if point[0] <= step]})},
                dtype=torch.float32,
                store=tmp_path,
            )
        score(tmp_path, branch, {"python": 0.1 + len(branch) / 100})
    return tmp_path


def score(store: Path, branch: str, by_language: dict[str, float]) -> None:
    results = [
        {
            "benchmark": "infilling",
            "language": language,
            "settings": {"temperature": 0.2},
            "scores": {"exact match": {"value": value, "interval": [value - 0.01, value + 0.01]}},
        }
        for language, value in by_language.items()
    ]
    document = json.dumps({"results": results}).encode()
    checkpoints.add_files("test/tiny", branch, {"eval.json": document}, store=store)


def test_branches_are_in_the_order_of_the_paper_and_know_their_experiments(trained: Path) -> None:
    branches = read_branches("test/tiny", trained)
    assert [branch.name for branch in branches] == ["mha", "no-fim", "fim", "main"]
    assert branches[3].experiment == EXPERIMENTS["final"]
    assert [branch.config.multi_query for branch in branches if branch.config] == [False, True, True, True]


def test_commits_that_only_add_files_are_one_with_those_before(trained: Path) -> None:
    fim = read_branches("test/tiny", trained)[2]
    assert [commit.step for commit in fim.commits] == [10, 50, 100]
    assert len(checkpoints.log("test/tiny", "fim", store=trained)) == 4
    assert fim.newest and fim.newest.sha == checkpoints.branches("test/tiny", store=trained)["fim"]


def test_curves_are_those_of_the_training_and_else_those_of_the_commits(trained: Path) -> None:
    fim = read_branches("test/tiny", trained)[2]
    assert fim.curves["validation_loss"] == CURVE
    assert fim.curves["bits_per_byte"] == [(10, 1.5), (50, 1.5), (100, 1.5)]


def test_scores_have_their_intervals(trained: Path) -> None:
    (found,) = read_branches("test/tiny", trained)[2].scores
    assert found.value == pytest.approx(0.13) and found.interval == pytest.approx((0.12, 0.14))
    assert found.temperature == 0.2


def test_a_model_of_ones_own_repeats_no_experiment(tmp_path: Path, tokenizer: Tokenizer) -> None:
    checkpoints.publish(random_model(), tokenizer, "mine/coder", store=tmp_path)
    (branch,) = read_branches("mine/coder", tmp_path)
    assert branch.experiment is None and len(branch.commits) == 1
    table = branch_table([branch], "main")
    assert "Objective" not in table and "multi-query" in table and metrics_of(branch) == []


def test_a_model_with_one_branch_names_those_with_several(trained: Path, tokenizer: Tokenizer) -> None:
    checkpoints.publish(random_model(), tokenizer, "mine/coder", store=trained)
    names = ["mine/coder", "test/tiny", PUBLISHED, "not/here"]
    others = with_several_branches(names, trained)
    assert others == ["test/tiny", PUBLISHED]
    branches = read_branches("mine/coder", trained)
    about = about_branch("mine/coder", branches[0], branches, others)
    assert "only branch of mine/coder" in about and 'href="?pane=branches&amp;model=test/tiny"' in about
    assert "only branch" not in about_branch("mine/coder", branches[0], branches)


def test_the_published_model_is_known_without_its_weights(tmp_path: Path) -> None:
    branches = read_branches(PUBLISHED, tmp_path)
    assert [branch.name for branch in branches] == [name if name != "final" else "main" for name in EXPERIMENTS]
    table = branch_table(branches, "main")
    assert "HumanEval: pass@100" in table and "49.0 %" in table and "236 B" in table
    assert table.count("data-branch=") == 8 and "pass@10 " not in table
    about = about_branch(PUBLISHED, branches[7], branches)
    assert "MBPP: pass@1" in about and "18.1" in about and "hf download bigcode/santacoder --revision main" in about


def test_the_published_model_keeps_its_length_when_its_weights_are_here(tmp_path: Path, tokenizer: Tokenizer) -> None:
    checkpoints.publish(random_model(), tokenizer, PUBLISHED, store=tmp_path)
    branches = read_branches(PUBLISHED, tmp_path)
    assert branches[7].commits and not branches[6].commits
    table = branch_table(branches, "main")
    assert table.count("236 B<small>600,000 steps</small>") == 1 and table.count("118 B") == 7


def test_a_damaged_branch_is_said_and_the_others_stay(trained: Path) -> None:
    (checkpoints.resolve("test/tiny", "no-fim", store=trained) / "eval.json").unlink()
    (checkpoints.resolve("test/tiny", "no-fim", store=trained) / "eval.json").write_text("{")
    branches = read_branches("test/tiny", trained)
    assert len(branches) == 4
    assert "eval.json cannot be read" in branches[1].problem
    assert "eval.json cannot be read" in about_branch("test/tiny", branches[1], branches)
    assert branches[2].scores


@pytest.mark.parametrize("name", ["no/such", "../etc"])
def test_a_model_that_is_not_here_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match="no files of|not a model name"):
        read_branches(name, tmp_path)


def test_the_best_of_a_column_is_told(trained: Path) -> None:
    table = branch_table(read_branches("test/tiny", trained), "fim")
    assert table.count("<strong>") == 1 and "<strong>16.0 %</strong>" in table
    assert "15.0 – 17.0" in table


def test_a_chart_has_a_button_for_each_commit(trained: Path) -> None:
    branches = read_branches("test/tiny", trained)
    drawing = branch_chart(branches, branches[2], "validation_loss")
    assert drawing.count("<button") == 3 and 'data-commit="3"' in drawing and "Commit at step 50" in drawing
    assert "4.000 after 100 steps on branch fim" in drawing
    assert drawing.count("<polyline") == 4


def test_names_and_metrics_are_never_markup(trained: Path) -> None:
    hostile = '<img src=x onerror="alert(1)">'
    document = {"results": [{"benchmark": hostile, "language": hostile, "scores": {hostile: {"value": 0.5}}}]}
    checkpoints.add_files("test/tiny", "fim", {"eval.json": json.dumps(document).encode()}, store=trained)
    branches = [branch for branch in read_branches("test/tiny", trained) if branch.name == "fim"]
    for html in (branch_table(branches, "fim"), about_branch(hostile, branches[0], branches)):
        assert "<img" not in html
    assert "&lt;img" in branch_table(branches, "fim")


def test_use_in_editors_is_shown_once_there_is_some() -> None:
    branches = [Branch("main", None), Branch("fim", None)]
    assert "Accepted in editors" not in branch_table(branches, "main")
    table = branch_table(branches, "main", acceptance={"fim": Rate(30, 100), "main": Rate(10, 100)})
    assert "Accepted in editors" in table and "Blind votes won" not in table
    assert "<strong>30 %</strong>" in table and "22 – 40, of 100" in table and "<strong>10 %" not in table


def test_every_benchmark_has_a_name_for_readers() -> None:
    scores = checkpoints.read_scores(checkpoints.resolve("santacoder/mini"))
    headings = {(score.benchmark, score.metric) for score in scores}
    assert len(headings) > 5 and not [heading for heading in headings if name_of(heading).startswith(heading[0])]
    assert {benchmark for benchmark, metric in headings if place_of((benchmark, metric)) < 0} == {"humaneval"}


def test_a_score_says_whether_less_is_better_and_has_no_bar_then() -> None:
    def branch(name: str, bits: float, right: float) -> Branch:
        found = (("bits-per-byte", "bits per byte", bits), ("infilling", "exact match", right))
        return Branch(name, None, scores=[RevisionScore(each, "java", metric, value) for each, metric, value in found])

    branches = [branch("main", 2.5, 0.2), branch("fim", 2.0, 0.1)]
    table = branch_table(branches, "main")
    right, bits = (table.index(name) for name in ("Lines filled in, prefix first", "Bits per byte of held-out files"))
    assert right < table.index("more is better") < bits < table.index("less is better")
    assert table.count('class="bar"') == 2 and "<strong>2.000</strong>" in table
    scores = [("empty", "empty"), ("infilling-spm", "exact match"), ("infilling", "exact match")]
    alone = Branch("main", None, scores=[RevisionScore(name, "java", metric, 0.5) for name, metric in scores])
    several = [alone, replace(alone, name="fim")]  # nothing tells them apart
    about = about_branch("x/y", alone, several)
    names = ["Lines filled in, prefix first", "Lines filled in, suffix first", "Empty continuations"]
    assert sorted(names, key=about.index) == names
    assert about.count("(more is better)") == 2 and about.count("(less is better)") == 1
