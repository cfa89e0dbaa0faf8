"""The trained branches are copied into the store that the playground serves."""

from __future__ import annotations

from pathlib import Path

import pytest

from santacoder import checkpoints
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model
from train.embedded.recipe import MINI, NANO, PRETRAINING, nano_runs
from train.embedded.ship import main

BRANCHES_OF_NANO = [run.branch for run in nano_runs() if run.seed == 0]


def publish(store: Path, tokenizer: Tokenizer, repo: str, *branches: str) -> None:
    for branch in branches:
        checkpoints.publish(random_model(), tokenizer, repo, branch, step=1, store=store)


def test_the_newest_commits_of_mini_and_all_of_nano_are_shipped(
    tmp_path: Path, tokenizer: Tokenizer, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for repo, branch in ((MINI, PRETRAINING), (MINI, "main"), (NANO, "fim"), (NANO, "fim-seed1")):
        for step in (10, 20, 30):
            checkpoints.publish(random_model(step), tokenizer, repo, branch, step=step, store=ours)
    publish(ours, tokenizer, NANO, *(branch for branch in BRANCHES_OF_NANO if branch != "fim"))
    (ours / "attribution--santacoder--mini").mkdir()
    assert main([str(ours), "--to", str(theirs)]) == 0
    assert (theirs / "attribution--santacoder--mini").is_dir()
    assert [commit.step for commit in checkpoints.log(MINI, store=theirs)] == [30, 20]
    assert [commit.step for commit in checkpoints.log(MINI, PRETRAINING, store=theirs)] == [30]
    assert [commit.step for commit in checkpoints.log(NANO, "fim", store=theirs)] == [30, 20, 10]
    assert sorted(checkpoints.branches(NANO, store=theirs)) == sorted(BRANCHES_OF_NANO)
    (ours / "models--santacoder--mini" / "refs" / "main").write_text("0" * 40)
    assert main([str(ours), "--to", str(theirs)]) == 1
    assert "are missing from the store" in capsys.readouterr().err
    assert [commit.step for commit in checkpoints.log(MINI, store=theirs)] == [30, 20]


def test_the_card_names_the_copied_commit_that_mini_continues_from(tmp_path: Path, tokenizer: Tokenizer) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for step in (10, 20):
        checkpoints.publish(random_model(step), tokenizer, MINI, PRETRAINING, step=step, store=ours)
    base = f"{MINI}@{checkpoints.resolve(MINI, PRETRAINING, store=ours).name}"
    for step in (1, 2):
        checkpoints.publish(
            random_model(), tokenizer, MINI, step=step, files={"README.md": f"It continues {base}."}, store=ours
        )
    for _ in range(2):
        assert main([str(ours), "--to", str(theirs), "--only", MINI]) == 0
        copied = checkpoints.resolve(MINI, PRETRAINING, store=theirs).name
        assert copied not in base, "its history has been left out"
        assert (checkpoints.resolve(MINI, store=theirs) / "README.md").read_text() == f"It continues {MINI}@{copied}."
        assert [commit.step for commit in checkpoints.log(MINI, store=theirs)] == [2, 1]


def test_a_commit_without_its_weights_is_not_shipped(
    tmp_path: Path, tokenizer: Tokenizer, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    publish(ours, tokenizer, NANO, *BRANCHES_OF_NANO)
    publish(ours, tokenizer, MINI, "main")
    (checkpoints.resolve(MINI, store=ours) / "model.safetensors").unlink()
    assert main([str(ours), "--to", str(theirs)]) == 1
    assert f"The weights of {MINI}@main in {ours} are not complete" in capsys.readouterr().err
    assert checkpoints.repositories(theirs) == [NANO]


def test_what_is_missing_is_named_and_nothing_copied(
    tmp_path: Path, tokenizer: Tokenizer, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    assert main([str(ours), "--to", str(theirs)]) == 1
    assert f"{ours} has no {NANO}@mha, {NANO}@no-fim, " in capsys.readouterr().err
    publish(ours, tokenizer, NANO, *BRANCHES_OF_NANO[1:])
    publish(ours, tokenizer, MINI, PRETRAINING)
    assert main([str(ours), "--to", str(theirs)]) == 1
    assert f"{ours} has no {NANO}@{BRANCHES_OF_NANO[0]}, {MINI}@main: train " in capsys.readouterr().err
    assert not theirs.exists()


def test_one_of_the_models_can_be_shipped_alone(tmp_path: Path, tokenizer: Tokenizer) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    publish(ours, tokenizer, MINI, "main")
    assert main([str(ours), "--to", str(theirs), "--only", MINI]) == 0
    assert checkpoints.repositories(theirs) == [MINI]
