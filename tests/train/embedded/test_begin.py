"""A new working folder continues the long run from what the project's store has of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from santacoder import checkpoints
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model
from train.embedded.begin import main
from train.embedded.recipe import MINI, PRETRAINING


def test_the_published_part_is_copied_once(
    tmp_path: Path, tokenizer: Tokenizer, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    assert main([str(ours), "--from", str(theirs)]) == 0
    assert "begins from scratch" in capsys.readouterr().out
    for step in (10, 20):
        checkpoints.publish(random_model(step), tokenizer, MINI, PRETRAINING, step=step, store=theirs)
    assert main([str(ours), "--from", str(theirs)]) == 0
    assert [commit.step for commit in checkpoints.log(MINI, PRETRAINING, store=ours)] == [20, 10]
    checkpoints.publish(random_model(3), tokenizer, MINI, PRETRAINING, step=30, store=ours)
    assert main([str(ours), "--from", str(theirs)]) == 0
    assert [commit.step for commit in checkpoints.log(MINI, PRETRAINING, store=ours)] == [30, 20, 10]


def test_a_branch_whose_files_are_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ref = tmp_path / "theirs" / "models--santacoder--mini" / "refs" / PRETRAINING
    ref.parent.mkdir(parents=True)
    ref.write_text("0" * 40)
    assert main([str(tmp_path / "ours"), "--from", str(tmp_path / "theirs")]) == 1
    assert capsys.readouterr().err.startswith(f"There is no branch '{PRETRAINING}' of '{MINI}' in ")
