"""A run that is killed and resumed gives the same result as an uninterrupted run."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed.checkpoint as dcp

from santacoder.errors import UserError
from tests.conftest import REPOSITORY
from tests.python_process import PythonProcess
from tests.train.conftest import TINY
from tests.train.test_cli import SMALL, failing
from train import loop
from train.__main__ import main
from train.data.pack import load_packed
from train.loop import Stopped, Trained, train
from train.run.folder import RunFolder, newest_state
from train.run.validation import Watch

FLAGS = (
    "--n-layer 2 --n-embd 32 --n-head 2 --sequence-length 64 --batch-size 4 --steps 60 --precision fp32 "
    "--validate-every 25 --validation-batches 2 --save-every 7"
).split()


# dies by kill -9 somewhere in the step given first or soon after it, whatever is being written then
DYING = """
import os, random, signal, sys, threading, time
from train import loop
from train.__main__ import main

def die():
    time.sleep(random.random() * 0.02)
    os.kill(os.getpid(), signal.SIGKILL)

def dying_step(training, batch, step, *others):
    if step == int(sys.argv[1]):
        threading.Thread(target=die).start()
    if step == 58:
        os.kill(os.getpid(), signal.SIGKILL)
    return training_step(training, batch, step, *others)

training_step, loop.training_step = loop.training_step, dying_step
sys.exit(main(sys.argv[2:]))
"""


def losses(output: Path) -> list[tuple[int, float | None, float | None]]:
    records = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [(record["step"], record.get("loss"), record.get("validation_loss")) for record in records]


def saved(output: Path) -> dict[str, torch.Tensor]:
    """All tensors of the newest state."""
    state = newest_state(output / "states")
    assert state is not None
    metadata = dcp.FileSystemReader(state).read_metadata().state_dict_metadata
    tensors = {name: torch.empty(entry.size, dtype=entry.properties.dtype) for name, entry in metadata.items()}
    dcp.load(tensors, checkpoint_id=state, no_dist=True)
    return tensors


def arguments(packed: Path, output: Path, *flags: str) -> list[str]:
    return ["--data", str(packed), "--output", str(output), *flags]


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_kill_at_a_random_step_and_resume(packed: Path, tmp_path: Path, optimizer: str) -> None:
    flags = [*FLAGS, "--optimizer", optimizer]
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    assert main(arguments(packed, unbroken, *flags)) == 0
    dying = [sys.executable, "-c", DYING, str(random.randint(8, 50)), *arguments(packed, broken, *flags)]
    killed = subprocess.run(dying, cwd=REPOSITORY, check=False, stderr=subprocess.DEVNULL)
    assert killed.returncode == -signal.SIGKILL
    assert len(losses(broken)) < len(losses(unbroken))
    assert main(arguments(packed, broken, "--resume")) == 0
    assert losses(broken) == losses(unbroken)
    one, other = (saved(folder) for folder in (unbroken, broken))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_a_full_disk_is_said_and_the_saved_state_kept(packed: Path, tmp_path: Path) -> None:
    """A limit on file sizes simulates a full disk: both make the write fail with an OSError."""
    train(TINY, load_packed(packed), tmp_path / "run")
    before = saved(tmp_path / "run")
    config = tmp_path / "run" / "config.json"
    config.write_text(config.read_text().replace('"steps": 12', '"steps": 40'))
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000));"
        "from train.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    process = PythonProcess("-c", limited, *arguments(packed, tmp_path / "run", "--resume"), quiet=True)
    _, errors = process.communicate()
    assert process.returncode == 1
    assert "Stopped because writing failed" in errors and "--resume" in errors
    assert "Traceback" not in errors
    after = saved(tmp_path / "run")
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert not list((tmp_path / "run").rglob("*incomplete"))


def test_a_damaged_state_is_passed_over(packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(TINY, load_packed(packed), tmp_path / "run")
    unbroken = losses(tmp_path / "run")
    newest = newest_state(tmp_path / "run" / "states")
    assert newest is not None
    (weights,) = newest.glob("*.distcp")
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    train(TINY, load_packed(packed), tmp_path / "run")
    assert f"{newest} is damaged" in capsys.readouterr().err
    assert losses(tmp_path / "run") == unbroken
    for state in (tmp_path / "run" / "states").iterdir():
        (state / ".metadata").write_bytes(b"")
    with pytest.raises(ValueError, match="None of the states"):
        train(TINY, load_packed(packed), tmp_path / "run")


@pytest.mark.parametrize("keep", [1, 2])
def test_the_state_written_after_a_damaged_one_is_kept(packed: Path, tmp_path: Path, keep: int) -> None:
    run = tmp_path / "run"
    train(dataclasses.replace(TINY, keep=2), load_packed(packed), run)
    (weights,) = (run / "states" / "step-00000012").glob("*.distcp")
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    # goes on from 9 and is asked to save every step
    settings = dataclasses.replace(TINY, keep=keep, save_every=1, steps=11)
    train(settings, load_packed(packed), run)
    left = sorted(state.name for state in (run / "states").iterdir())
    assert left == ["step-00000010", "step-00000011"][-keep:]
    assert saved(run)["step"] == 11


def test_a_stop_during_a_validation_saves_the_steps_before_it(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    validate = Watch.validate

    def stopped(watch: Watch) -> tuple[dict[str, float], tuple[str, str]]:
        os.kill(os.getpid(), signal.SIGTERM)
        return validate(watch)

    monkeypatch.setattr(Watch, "validate", stopped)
    config = dataclasses.replace(TINY, validate_every=5, save_every=100)
    with pytest.raises(Stopped, match="Stopped after 5 of 12 steps"):
        train(config, load_packed(packed), tmp_path)
    assert saved(tmp_path)["step"] == 5


@pytest.mark.parametrize("during", ["training_step", "validate"])
def test_a_stop_loses_no_validation_and_no_commit(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, during: str
) -> None:
    config = dataclasses.replace(TINY, validate_every=4, publish_every=4, save_every=100)
    published: list[tuple[int, dict[str, float]]] = []

    def publish(trained: Trained) -> None:
        published.append((trained.step, trained.metrics))

    train(config, load_packed(packed), tmp_path / "unbroken", on_save=publish)
    expected, published = published, []
    owner = loop if during == "training_step" else Watch
    continues, calls = getattr(owner, during), []

    def stopped(*args: object) -> object:
        calls.append(during)
        if len(calls) == (4 if during == "training_step" else 1):
            os.kill(os.getpid(), signal.SIGTERM)
        return continues(*args)

    monkeypatch.setattr(owner, during, stopped)
    with pytest.raises(Stopped, match="Stopped after 4 of 12 steps"):
        train(config, load_packed(packed), tmp_path / "broken", on_save=publish)
    train(config, load_packed(packed), tmp_path / "broken", on_save=publish)
    assert published == expected and [step for step, _ in published] == [4, 8]
    for name in ("metrics.jsonl", "samples.jsonl"):
        one, other = ((tmp_path / run / name).read_text().splitlines() for run in ("unbroken", "broken"))
        assert len(one) == len(other)
    assert losses(tmp_path / "broken") == losses(tmp_path / "unbroken")


def test_a_run_does_not_go_on_with_fewer_steps_than_it_has_done(packed: Path, tmp_path: Path) -> None:
    train(dataclasses.replace(TINY, schedule="wsd", steps=6), load_packed(packed), tmp_path)
    before = (tmp_path / "config.json").read_text()
    continued = RunFolder(tmp_path).config().continued_with({"steps": 5})
    with pytest.raises(UserError, match="has done 6 steps already, more than the 5 requested"):
        train(continued, load_packed(packed), tmp_path)
    assert (tmp_path / "config.json").read_text() == before


def test_a_run_goes_on_with_its_own_data_only(packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert main(["--folder", str(REPOSITORY / "santacoder"), "--output", str(run), *SMALL]) == 0
    tokens = (run / "data" / "train.bin").read_bytes()
    sentence = failing(capsys, "--data", str(packed), "--output", str(run), "--resume")
    assert f"The run learns from {run / 'data'}, not from {packed}: omit --data." in sentence
    assert (run / "data" / "train.bin").read_bytes() == tokens and not (run / "data").is_symlink()


def test_a_run_of_a_gpu_goes_on_on_a_processor(packed: Path, tmp_path: Path) -> None:
    train(dataclasses.replace(TINY, schedule="wsd"), load_packed(packed), tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"device": "cpu"', '"device": "cuda"'))
    assert main(arguments(packed, tmp_path, "--resume", "--device", "cpu", "--steps", "13")) == 0
    assert saved(tmp_path)["step"] == 13


@pytest.mark.slow
def test_a_run_goes_on_in_another_precision(packed: Path, tmp_path: Path) -> None:
    """The precision may change, for example on a processor that multiplies faster in half precision."""
    run = tmp_path / "run"
    train(dataclasses.replace(TINY, schedule="wsd", steps=6, precision="fp32"), load_packed(packed), run)
    for steps, precision in ((9, "bf16"), (12, "fp16"), (15, "fp16"), (18, "fp32")):
        continued = RunFolder(run).config().continued_with({"steps": steps, "precision": precision})
        train(continued, load_packed(packed), run)
        assert saved(run)["step"] == steps
    assert all(math.isfinite(loss or 0) for _, loss, _ in losses(run)) and len(losses(run)) >= 18


@pytest.mark.slow
def test_fp16_goes_on_with_its_scale(packed: Path, tmp_path: Path) -> None:
    config = TINY.__class__(**{**vars(TINY), "precision": "fp16", "keep": 9})
    for name in ("unbroken", "broken"):
        train(config, load_packed(packed), tmp_path / name)
    for step in (9, 12):
        shutil.rmtree(tmp_path / "broken" / "states" / f"step-{step:08d}")
    train(config, load_packed(packed), tmp_path / "broken")
    assert losses(tmp_path / "broken") == losses(tmp_path / "unbroken")


def test_training_learns(packed: Path, tmp_path: Path) -> None:
    config = TINY.__class__(**{**vars(TINY), "steps": 80, "learning_rate": 1e-2})
    trained = train(config, load_packed(packed), tmp_path / "run")
    first = losses(tmp_path / "run")[0][1]
    assert first is not None and trained.validation_loss < first - 1


@pytest.mark.slow
def test_bf16_follows_fp32(packed: Path, tmp_path: Path) -> None:
    for precision in ("fp32", "bf16"):
        config = TINY.__class__(**{**vars(TINY), "sequence_length": 192, "precision": precision})
        train(config, load_packed(packed), tmp_path / precision)
    pairs = zip(losses(tmp_path / "fp32"), losses(tmp_path / "bf16"), strict=True)
    assert all(abs((one[1] or 0) - (other[1] or 0)) < 0.05 for one, other in pairs)
