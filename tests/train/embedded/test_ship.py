"""The trained branches are copied into the store that the playground serves."""

from __future__ import annotations

from pathlib import Path

import pytest

from santacoder import checkpoints
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model
from train.embedded.recipe import MINI, NANO, PRETRAINING, UNFINISHED
from train.embedded.ship import main


def test_the_newest_commit_of_mini_and_all_of_nano_are_shipped(
    tmp_path: Path, tokenizer: Tokenizer, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for repo, branch in ((MINI, PRETRAINING), (NANO, "fim"), (NANO, "fim-seed1")):
        for step in (10, 20):
            checkpoints.publish(random_model(step), tokenizer, repo, branch, step=step, store=ours)
    assert main([str(ours), "--to", str(theirs)]) == 0
    assert [commit.step for commit in checkpoints.log(MINI, PRETRAINING, store=theirs / UNFINISHED)] == [20]
    assert [commit.step for commit in checkpoints.log(NANO, "fim", store=theirs)] == [20, 10]
    assert list(checkpoints.branches(NANO, store=theirs)) == ["fim"]
    assert checkpoints.repositories(theirs) == [NANO], "the playground does not list what is unfinished"
    (ours / "models--santacoder--mini" / "refs" / PRETRAINING).write_text("0" * 40)
    assert main([str(ours), "--to", str(theirs)]) == 1
    assert capsys.readouterr().err.startswith(f"There is no branch '{PRETRAINING}' of '{MINI}' in ")
    assert [commit.step for commit in checkpoints.log(MINI, PRETRAINING, store=theirs / UNFINISHED)] == [20]


def test_a_commit_without_its_weights_is_not_shipped(
    tmp_path: Path, tokenizer: Tokenizer, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for repo, branch in ((NANO, "fim"), (MINI, "main")):
        checkpoints.publish(random_model(), tokenizer, repo, branch, step=1, store=ours)
    (checkpoints.resolve(MINI, store=ours) / "model.safetensors").unlink()
    assert main([str(ours), "--to", str(theirs)]) == 1
    assert f"The weights of {MINI}@main in {ours} are not complete" in capsys.readouterr().err
    assert checkpoints.repositories(theirs) == [NANO]


def test_a_store_with_one_of_the_models_is_enough(tmp_path: Path, tokenizer: Tokenizer) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    checkpoints.publish(random_model(), tokenizer, MINI, PRETRAINING, step=10, store=ours)
    assert main([str(ours), "--to", str(theirs)]) == 0
    assert checkpoints.repositories(theirs / UNFINISHED) == [MINI]
