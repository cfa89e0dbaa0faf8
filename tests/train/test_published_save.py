"""A run whose folder is lost continues from what it has published."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from unittest.mock import ANY

import pytest
import torch

from santacoder import checkpoints
from santacoder.checkpoints.store import snapshot
from tests.train.test_resume import losses
from train.__main__ import main
from train.run.folder import Outcome, RunFolder

FLAGS = (
    "--n-layer 2 --n-embd 32 --n-head 2 --sequence-length 64 --batch-size 4 --precision fp32 --optimizer muon "
    "--validate-every 100 --validation-batches 2 --fim-questions 0 --loader-workers 0 --schedule wsd "
    "--cooldown-fraction 0 --save-every 6 --publish mine/long --publish-saves --continue-published"
).split()


def run(packed: Path, folder: Path, *flags: str) -> int:
    """Run the command with a store and an output in ``folder``."""
    places = ["--data", str(packed), "--output", str(folder / "run"), "--store", str(folder / "store")]
    return main([*places, *FLAGS, *flags])


def test_a_lost_run_goes_on_with_its_weights_steps_and_curves(packed: Path, tmp_path: Path) -> None:
    assert run(packed, tmp_path, "--steps", "6") == 0  # nothing is published yet, so it begins
    unbroken = losses(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    assert run(packed, tmp_path, "--steps", "12") == 0
    records = [record for record in losses(tmp_path / "run") if record[1] is not None]
    assert [step for step, _, _ in records] == list(range(12))
    before = [loss for step, loss, _ in unbroken if loss is not None]
    assert [loss for _, loss, _ in records[:6]] == pytest.approx(before, abs=1e-6)
    newest, oldest = checkpoints.log("mine/long", store=tmp_path / "store")
    assert (newest.step, newest.tokens, oldest.step) == (12, 12 * 256, 6)
    curve = json.loads((checkpoints.resolve("mine/long", store=tmp_path / "store") / "curves.json").read_text())
    assert [step for step, _ in curve["loss"]] == list(range(1, 13))


def test_the_weights_are_the_published_ones(packed: Path, tmp_path: Path) -> None:
    """With a learning rate near zero, the next commit has the weights of the last."""
    assert run(packed, tmp_path, "--steps", "6") == 0
    before, _ = checkpoints.load("mine/long", store=tmp_path / "store")
    shutil.rmtree(tmp_path / "run")
    assert run(packed, tmp_path, "--steps", "7", "--learning-rate", "1e-9") == 0
    after, _ = checkpoints.load("mine/long", store=tmp_path / "store")
    pairs = zip(before.parameters(), after.parameters(), strict=True)
    assert all(torch.allclose(one, other, rtol=0, atol=1e-6) for one, other in pairs)


@pytest.mark.parametrize("flags", [("--n-layer", "3"), ("--batch-size", "8"), ("--steps", "5")])
def test_another_run_is_not_continued(
    packed: Path, tmp_path: Path, flags: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(packed, tmp_path, "--steps", "6") == 0
    sha = checkpoints.branches("mine/long", store=tmp_path / "store")["main"]
    shutil.rmtree(tmp_path / "run")
    assert run(packed, tmp_path, "--steps", "12", *flags) == 2
    assert "mine/long@main was not published by a run with these settings" in capsys.readouterr().err
    assert checkpoints.branches("mine/long", store=tmp_path / "store")["main"] == sha


def test_a_finished_run_is_left_as_it_is(packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(packed, tmp_path, "--steps", "6") == 0
    sha = checkpoints.branches("mine/long", store=tmp_path / "store")["main"]
    shutil.rmtree(tmp_path / "run")
    assert run(packed, tmp_path, "--steps", "6") == 0
    assert "mine/long@main has all 6 steps; there is nothing left to train." in capsys.readouterr().out
    assert checkpoints.branches("mine/long", store=tmp_path / "store")["main"] == sha
    assert RunFolder(tmp_path / "run").outcome() == Outcome("finished", ANY, sha)


def test_weights_that_no_run_has_published_are_refused(
    packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A commit of others has no step, and one made by hand has none either."""
    assert run(packed, tmp_path, "--steps", "6") == 0
    model, tokenizer = checkpoints.load("mine/long", store=tmp_path / "store")
    shutil.rmtree(tmp_path / "run")
    shutil.rmtree(tmp_path / "store")
    sha = checkpoints.publish(model, tokenizer, "mine/long", store=tmp_path / "store")
    assert run(packed, tmp_path, "--steps", "12") == 2
    commit = snapshot(tmp_path / "store", "mine/long", sha) / "commit.json"
    commit.unlink()
    assert run(packed, tmp_path, "--steps", "12") == 2
    assert capsys.readouterr().err.count("mine/long@main was not published by a run with these settings") == 2


def test_a_commit_without_curves_is_continued_and_a_damaged_one_named(
    packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(packed, tmp_path, "--steps", "6") == 0
    shutil.rmtree(tmp_path / "run")
    folder = checkpoints.resolve("mine/long", store=tmp_path / "store")
    for name in ("curves.json", "commit.json", "config.json"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
        assert run(packed, tmp_path, "--steps", "12") == 2, name
        assert name in capsys.readouterr().err
        (folder / name).write_bytes(whole)
    (folder / "curves.json").unlink()
    assert run(packed, tmp_path, "--steps", "12") == 0
    records = [record for record in losses(tmp_path / "run") if record[1] is not None]
    assert [step for step, _, _ in records] == list(range(6, 12))


@pytest.mark.parametrize("sha", ["", "0" * 40])
def test_a_branch_without_files_is_named(
    packed: Path, tmp_path: Path, sha: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refs = tmp_path / "store" / "models--mine--long" / "refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text(sha)
    assert run(packed, tmp_path, "--steps", "6") == 2
    assert capsys.readouterr().err == f"The files of mine/long@main ({sha}) are missing from {tmp_path / 'store'}.\n"


def test_a_low_rank_update_is_not_continued(packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is a part of the published weights, so a new one would not be an update of the base."""
    assert run(packed, tmp_path, "--steps", "6") == 0
    places = ["--data", str(packed), "--output", str(tmp_path / "tuned"), "--store", str(tmp_path / "store")]
    flags = ["--from", "mine/long", "--lora-rank", "2", "--publish", "mine/long", "--continue-published"]
    assert main([*places, *flags]) == 2
    assert "omit --lora-rank" in capsys.readouterr().err


def test_a_saved_state_is_preferred(packed: Path, tmp_path: Path) -> None:
    assert run(packed, tmp_path, "--steps", "6") == 0
    unbroken = losses(tmp_path / "run")
    (checkpoints.resolve("mine/long", store=tmp_path / "store") / "curves.json").write_text("{")
    places = ["--output", str(tmp_path / "run"), "--store", str(tmp_path / "store")]
    assert main([*places, "--resume", "--steps", "9", "--publish", "mine/long", "--continue-published"]) == 0
    assert losses(tmp_path / "run")[: len(unbroken)] == unbroken


def test_it_needs_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--folder", str(tmp_path), "--output", str(tmp_path / "run"), "--continue-published"]) == 2
    assert "set --publish" in capsys.readouterr().err
