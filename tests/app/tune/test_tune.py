"""``santacoder tune FOLDER``, as a user runs it: in a process of its own, with a store and a data folder of its own."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from app import training_jobs, training_request
from app.settings import Settings
from app.training_jobs import Jobs
from app.tune.__main__ import main, tuning_request
from app.tune.tuned_model import is_tuned, tuned_model
from santacoder import checkpoints
from santacoder.checkpoints.store import require_branch
from tests.app.harbour import write_harbour
from tests.conftest import REPOSITORY


@pytest.fixture
def own_store(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(os, "nice", lambda increment: 0, raising=False)  # it would last for all tests
    return Path(shutil.copytree(store, tmp_path / "store"))


def jobs_left(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "data" / "santacoder" / "tuning").glob("*"))


@pytest.mark.slow
def test_a_model_that_is_no_better_is_not_published(
    own_store: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_request, "_LINE_GAPS", ("--learning-rate", "1e-9"))
    write_harbour(tmp_path / "code")
    shutil.copytree(tmp_path / "code" / "harbour" / "yawl", tmp_path / "code" / "harbour" / "copy")
    folder = str(tmp_path / "code")
    assert main([folder, "--model", "test/tiny", "--store", str(own_store), "--steps", "1"]) == 0
    said = capfd.readouterr().out
    assert f"Tuning test/tiny to {folder}." in said
    assert "10 of 11 files remain. Left out: exact duplicate (1)." in said
    assert re.search(r"Of \d+ held-out lines, it fills in \d+ exactly", said)
    assert "Nothing was published" in said and "Everything stays as it was." in said
    assert not is_tuned(Path(folder), own_store) and jobs_left(tmp_path) == []


@pytest.mark.slow
def test_a_model_that_is_better_is_published_with_a_graph(
    own_store: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_harbour(tmp_path / "code")
    folder = tmp_path / "code"
    assert main([str(folder), "--model", "test/tiny", "--store", str(own_store), "--steps", "20"]) == 0
    said, problem = capfd.readouterr()
    found = re.search(r"Their files take ([\d.]+) bits per byte; before, ([\d.]+)\.", said)
    assert found and float(found[1]) < 0.99 * float(found[2])
    assert f"choose {tuned_model(folder)}@main" in said
    snapshot = checkpoints.resolve(tuned_model(folder), "main", store=own_store)
    assert (snapshot / "onnx").is_dir() or "there is no graph" in problem


@pytest.mark.slow
def test_ctrl_c_publishes_nothing(own_store: Path, tmp_path: Path) -> None:
    write_harbour(tmp_path / "code")
    command = [sys.executable, "-m", "app.tune", str(tmp_path / "code"), "--model", "test/tiny"]
    process = subprocess.Popen(
        [*command, "--store", str(own_store), "--steps", "100000"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # a suite in the background ignores Ctrl-C, and its processes would, too
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("Tuning test/tiny")
    while not any((job / "metrics.jsonl").exists() for job in jobs_left(tmp_path)):
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130 and "Stopped. Nothing was published" in said and "Traceback" not in said
    assert not is_tuned(tmp_path / "code", own_store) and jobs_left(tmp_path) == []


def test_of_two_commands_that_follow_a_job_one_tells_how_it_ended(
    own_store: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The first to see its end removes the job, so that only one writes the graph."""
    write_harbour(tmp_path / "code")
    arguments = [str(tmp_path / "code"), "--model", "test/tiny", "--store", str(own_store)]
    jobs = tmp_path / "data" / "santacoder" / "tuning"
    other = threading.Thread(target=stop_and_remove, args=(jobs, own_store), daemon=True)
    other.start()
    assert main(arguments) == 0
    other.join()
    said, problem = capfd.readouterr()
    assert "Another command that followed it tells how." in said and "damaged" not in said + problem


def stop_and_remove(runs: Path, store: Path) -> None:
    """What another command does that is interrupted."""
    jobs = Jobs(runs, store)
    while not (running := jobs.all()):
        time.sleep(0.01)
    (runs / running[0].name).rename(runs / "elsewhere")  # so that the first cannot see its end before it is gone
    elsewhere = json.loads((runs / "elsewhere" / "job.json").read_text())
    process = psutil.Process(elsewhere["pid"])
    process.kill()
    process.wait()
    shutil.rmtree(runs / "elsewhere")


@pytest.mark.parametrize(
    "folder,flags,sentence",
    [
        ("missing", [], "is not a folder"),
        ("notes", [], "Found 0 usable source file(s)"),
        ("notes", ["--steps", "0"], "Steps must be at least 1"),
        ("notes", ["--model", "no/such"], "no/such"),
        ("notes", ["--model", "nameless"], "nameless"),
    ],
)
def test_what_cannot_be_tuned_is_a_sentence(
    own_store: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], folder: str, flags: list[str], sentence: str
) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("no code\n")
    arguments = [str(tmp_path / folder), "--model", "test/tiny", "--store", str(own_store), *flags]
    assert main(arguments) == 1
    said = capfd.readouterr().err
    assert sentence in said and "Traceback" not in said
    assert jobs_left(tmp_path) == []


def test_a_full_disk_is_told_and_leaves_no_process(
    own_store: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_harbour(tmp_path / "code")
    before = psutil.Process().children()

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(training_jobs, "replacing", full)
    assert main([str(tmp_path / "code"), "--model", "test/tiny", "--store", str(own_store)]) == 1
    assert "Nothing was published" in (said := capfd.readouterr().err) and "No space left on device" in said
    assert jobs_left(tmp_path) == []
    running = [child for child in psutil.Process().children() if child not in before]
    assert not psutil.wait_procs(running, timeout=60)[1]


@pytest.mark.parametrize("name", ["code", "my code", "..x", "ä", "--", "a" * 200])
def test_every_folder_has_a_model_of_its_own(tmp_path: Path, name: str) -> None:
    one, other = tmp_path / "one" / name, tmp_path / "other" / name
    assert tuned_model(one) != tuned_model(other) and tuned_model(one) == tuned_model(one / ".." / name)
    require_branch(tuned_model(one), "main", tmp_path)
    assert not is_tuned(one, tmp_path)


def test_a_tuned_model_is_the_one_to_begin_with(own_store: Path, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    settings = Settings(model="test/tiny", store=own_store)
    assert tuning_request(tmp_path / "code", 1, settings).base.startswith("test/tiny@")
    model, tokenizer = checkpoints.load("test/tiny", "other", store=own_store)
    name = tuned_model(tmp_path / "code")
    sha = checkpoints.publish(model, tokenizer, name, store=own_store)
    assert tuning_request(tmp_path / "code", 1, settings).base == f"{name}@{sha}"
