"""Failures of a run: the message, and that nothing is lost."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
import shlex
import socket
import subprocess
import tarfile
import time
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from tests.conftest import REPOSITORY
from tests.python_process import PythonProcess
from tests.train.conftest import TINY
from tests.train.test_cli import SMALL, failing
from train.__main__ import main
from train.arguments import build_parser
from train.config import TrainConfig
from train.core.memory import memory_needed, require_memory
from train.data.__main__ import main as data_main
from train.data.corpus import download, pinned_packages, unpack
from train.data.pack import load_packed
from train.execute import how_to_go_on
from train.loop import ALONE, TrainingFailed, train
from train.presets import SIZES
from train.run.folder import RunFolder, newest_state


def test_a_loss_that_is_no_number_names_step_batch_and_last_good_state(packed: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(TINY, optimizer="adamw", learning_rate=1e38, warmup_fraction=1.0, steps=1000)
    with pytest.raises(TrainingFailed) as failure:
        train(config, load_packed(packed), tmp_path)
    message = str(failure.value)
    assert "is not a number at step" in message and "in the batch of windows" in message
    assert "The last good state is" in message or "No state was saved before" in message


def test_the_outcome_of_a_failed_run_is_kept(packed: Path, tmp_path: Path) -> None:
    flags = [*SMALL, "--optimizer", "adamw", "--learning-rate", "1e38", "--steps", "50"]
    assert main(["--data", str(packed), "--output", str(tmp_path / "run"), *flags]) == 1
    outcome = RunFolder(tmp_path / "run").outcome()
    assert outcome is not None and outcome.state == "failed" and "not a number" in outcome.message


def test_two_jobs_on_one_output(packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunFolder(tmp_path / "run")
    with run.held():
        sentence = failing(capsys, "--data", str(packed), "--output", str(run.path), *SMALL)
    assert "Another process is training in" in sentence and "choose another --output" in sentence
    assert main(["--data", str(packed), "--output", str(run.path), *SMALL]) == 0


def test_a_run_goes_on_with_its_own_settings_only(
    packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", str(packed), "--output", str(tmp_path / "run")]
    assert main([*arguments, *SMALL]) == 0
    before = (tmp_path / "run" / "config.json").read_text()
    sentence = failing(capsys, *arguments, "--resume", "--learning-rate", "0.5")
    assert "was started with learning_rate 0.004 and cannot continue with 0.5" in sentence
    for size in ("nano", "base"):
        assert "was started with n_layer 1" in failing(capsys, *arguments, "--resume", "--size", size)
    assert "began from scratch and cannot continue from a/b" in failing(capsys, *arguments, "--resume", "--from", "a/b")
    assert (tmp_path / "run" / "config.json").read_text() == before
    assert main([*arguments, "--resume", "--micro-batch-size", "1", "--save-every", "2"]) == 0


def test_sources_that_are_not_read_are_said(packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["--output", str(tmp_path / "run")]
    for source in (["--folder", str(tmp_path)], ["--standard-library"], ["--archive", str(tmp_path / "code.zip")]):
        sentence = failing(capsys, "--data", str(packed), *source, *run, *SMALL)
        assert sentence == f"--data is packed already, so {source[0]} would not be read: omit one of them."
    assert not (tmp_path / "run").exists()
    assert main(["--data", str(packed), *run, *SMALL]) == 0
    # a job of the page and torchrun repeat the whole command
    assert main(["--folder", str(tmp_path), "--standard-library", *run, *SMALL, "--resume"]) == 0
    said = "The run learns from its own data and does not read --folder, --standard-library again."
    assert said in capsys.readouterr().err


def test_only_the_newest_states_are_kept(packed: Path, tmp_path: Path) -> None:
    train(dataclasses.replace(TINY, keep=2), load_packed(packed), tmp_path)
    assert sorted(path.name for path in (tmp_path / "states").iterdir()) == ["step-00000009", "step-00000012"]


def test_the_folder_of_a_run_tells_how_to_repeat_it(packed: Path, tmp_path: Path) -> None:
    assert main(["--data", str(packed), "--output", str(tmp_path / "run"), *SMALL]) == 0
    run = tmp_path / "run"
    environment = json.loads((run / "environment.json").read_text())
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert environment["git_commit"] == head.stdout.strip()
    assert environment["packages"]["torch"] == torch.__version__
    assert RunFolder(run).config() == TrainConfig(**json.loads((run / "config.json").read_text()))
    assert list((run / "tensorboard").iterdir()) and (run / "data").resolve() == packed
    assert json.loads((run / "outcome.json").read_text())["state"] == "finished"


def test_sigterm_saves_and_the_run_goes_on(packed: Path, tmp_path: Path) -> None:
    flags = [*SMALL[:-1], "2000", "--save-every", "5000", "--validate-every", "5000", "--loader-workers", "0"]
    destination = [
        "--publish",
        "mine/coder",
        "--branch",
        "bees",
        "--publish-saves",
        "--store",
        str(tmp_path / "a store"),
    ]
    flags += destination
    process = PythonProcess("-m", "train", "--data", str(packed), "--output", str(tmp_path / "run"), *flags, quiet=True)
    metrics = tmp_path / "run" / "metrics.jsonl"
    while not metrics.exists() or metrics.read_text().count("\n") < 5:
        assert process.poll() is None
        time.sleep(0.01)
    process.terminate()
    _, errors = process.communicate()
    assert process.returncode == 1
    assert (
        "Stopped after" in errors and f"continue with: python -m train --output {tmp_path / 'run'} --resume" in errors
    )
    assert errors.strip().endswith(shlex.join(destination)), "where the results go is not among the run's settings"
    assert newest_state(tmp_path / "run" / "states") is not None
    outcome = RunFolder(tmp_path / "run").outcome()
    assert outcome is not None and outcome.state == "stopped"


def test_the_command_that_continues_is_the_one_that_was_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a run" / "states" / "step-00000005").mkdir(parents=True)
    args = build_parser("").parse_args(["--output", str(tmp_path / "a run"), "--publish", "mine/coder"])
    options = f"--output '{tmp_path}/a run' --resume --publish mine/coder --branch main"
    assert how_to_go_on(args).endswith(f"continue with: python -m train {options}")
    monkeypatch.setattr("sys.argv", ["/usr/local/bin/santacoder", "train"])
    assert how_to_go_on(args).endswith(f"continue with: santacoder train {options}")
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert how_to_go_on(args).endswith(f"continue with torchrun, started as before, and these options: {options}")


def test_a_file_that_cannot_be_read_is_not_said_to_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").mkdir()
    assert main(["--output", str(tmp_path), "--resume"]) == 1
    assert "Stopped because a file cannot be read or written: [Errno 21]" in capsys.readouterr().err
    # the packed folder is to be below a file
    (tmp_path / "a.py").write_text("x = 1\n")
    with pytest.raises(SystemExit) as ended:
        data_main(["--folder", str(tmp_path), "--out", str(tmp_path / "a.py" / "data")])
    assert ended.value.code == 1 and "cannot be read or written: [Errno 20]" in capsys.readouterr().err


def test_an_error_under_torchrun_keeps_its_trace(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    started = {"LOCAL_RANK": "0", "RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    for name, value in started.items():
        monkeypatch.setenv(name, value)
    arguments = ["--data", str(packed), "--output", str(tmp_path / "run"), *SMALL, "--loader-workers", "0"]

    def broken(*_: object) -> tuple[float, float]:
        raise RuntimeError("the product has another shape")

    monkeypatch.setattr("train.loop.training_step", broken)
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert "Traceback" in error and "in broken" in error
    assert error.endswith("probably because another process of the run has ended: the product has another shape\n")


def test_too_little_memory_is_a_sentence_with_what_would_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    config = TrainConfig(**SIZES["base"])
    shape = config.model_config(16_384)
    free = memory_needed(shape, dataclasses.replace(config, micro_batch_size=16), ALONE)
    monkeypatch.setattr("train.core.memory.free_memory", lambda world: free)
    with pytest.raises(ValueError, match="--micro-batch-size 16 would fit and gives the same result"):
        require_memory(shape, config, ALONE)
    # what dropout draws depends on the micro-batches
    with pytest.raises(ValueError, match=r"--micro-batch-size 16 would fit\.$"):
        require_memory(shape, dataclasses.replace(config, dropout=0.1), ALONE)
    monkeypatch.setattr("train.core.memory.free_memory", lambda world: 1.5e9)
    with pytest.raises(ValueError, match="GB are free: --size mini --micro-batch-size 1 would fit"):
        require_memory(shape, config, ALONE)


def test_an_odd_name_to_publish_to_is_said_before_the_training(
    packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", str(packed), "--output", str(tmp_path / "run"), *SMALL]
    assert "'no name' is not a model name" in failing(capsys, *arguments, "--publish", "no name")
    assert "'a/b' is not a branch name" in failing(capsys, *arguments, "--publish", "mine/x", "--branch", "a/b")
    assert not (tmp_path / "run").exists()


def zipped(path: Path, *names: str, text: str = "x = 1\n") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, text)
    return path


def tarred(path: Path, *names: str, text: str = "x = 1\n") -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("link.py")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return path


@pytest.mark.parametrize("make,name", [(zipped, "code.zip"), (tarred, "code.tar.gz")])
def test_source_files_come_out_of_an_archive(make: object, name: str, tmp_path: Path) -> None:
    archive = make(tmp_path / name, "one/a.py", "two/b.js", "two/photo.png", "two\\x2da.mount")  # type: ignore[operator]
    unpack(archive, tmp_path / "out")
    found = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert found == ["one/a.py", "two/b.js"]


@pytest.mark.parametrize("make,name", [(zipped, "code.zip"), (tarred, "code.tar.gz")])
@pytest.mark.parametrize("path", ["../escaped.py", "{}/escaped.py", "a/../../escaped.py", "..\\escaped.py"])
def test_paths_that_lead_elsewhere_are_refused(make: object, name: str, path: str, tmp_path: Path) -> None:
    archive = make(tmp_path / name, path.format(tmp_path))  # type: ignore[operator]
    with pytest.raises(ValueError, match="which leads outside the archive"):
        unpack(archive, tmp_path / "out")
    assert not list(tmp_path.rglob("*escaped.py"))


@pytest.mark.parametrize("make,name", [(zipped, "code.zip"), (tarred, "code.tar.gz")])
def test_an_archive_bomb_is_refused(make: object, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.data.corpus.MAX_UNPACKED_BYTES", 1_000_000)
    archive = make(tmp_path / name, *(f"{n}.txt" for n in range(3)), text="0" * 500_000)  # type: ignore[operator]
    assert archive.stat().st_size < 10_000
    with pytest.raises(ValueError, match="unpacks to more than"):
        unpack(archive, tmp_path / "out")


def test_what_is_no_archive_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "code.zip").write_bytes(b"PK\3\4 but broken")
    arguments = ["--archive", str(tmp_path / "code.zip"), "--output", str(tmp_path / "run"), *SMALL]
    assert "code.zip cannot be unpacked" in failing(capsys, *arguments)
    damaged = zipped(tmp_path / "damaged.zip", "a.py", text="".join(map(chr, range(32, 127))) * 20)
    content = bytearray(damaged.read_bytes())
    content[40:60] = b"\xff" * 20  # in the middle of what is compressed
    damaged.write_bytes(content)
    arguments = ["--archive", str(damaged), "--output", str(tmp_path / "run"), *SMALL]
    assert "damaged.zip cannot be unpacked" in failing(capsys, *arguments)
    absent = ["--archive", str(tmp_path / "absent.zip"), "--output", str(tmp_path / "run"), *SMALL]
    assert "does not exist" in failing(capsys, *absent)
    folder = ["--archive", str(tmp_path), "--output", str(tmp_path / "run"), *SMALL]
    assert f"The archive {tmp_path} cannot be read: Is a directory." in failing(capsys, *folder)
    zipped(tmp_path / "text.zip", "a.txt", "b.md")
    other = ["--archive", str(tmp_path / "text.zip"), "--output", str(tmp_path / "run"), *SMALL]
    assert "Found 0 usable source file(s)" in failing(capsys, *other)


def _utf7(text: str) -> str:
    """``text`` written with only letters, digits, ``+`` and ``-``."""
    coded = (base64.b64encode(char.encode("utf-16-be")).decode().rstrip("=") for char in text)
    return "".join(
        char if char.isalnum() or char == "." else f"+{code}-" for char, code in zip(text, coded, strict=True)
    )


def _hostile_source_distribution(path: Path, trace: Path) -> Path:
    """A source distribution that creates ``trace`` when it is built."""
    build = '[build-system]\nrequires = []\nbuild-backend = "hostile"\nbackend-path = ["."]\n'
    with tarfile.open(path, "w:gz") as pack:
        for name, text in (("pyproject.toml", build), ("hostile.py", f"open({str(trace)!r}, 'w').close()\n")):
            entry = tarfile.TarInfo(f"a-1/{name}")
            entry.size = len(text)
            pack.addfile(entry, io.BytesIO(text.encode()))
    return path


@pytest.mark.parametrize("heading", ["# coding: utf-7", "# -*- coding: utf-7 -*-", "# vim: fileencoding=utf-7"])
def test_a_list_of_packages_runs_no_code(heading: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = tmp_path / "trace"
    archive = _hostile_source_distribution(tmp_path / "a.tar.gz", trace)
    _hostile_source_distribution(tmp_path / "a==1.tar.gz", trace)
    monkeypatch.chdir(tmp_path)
    hostile = [f"a==1+AAo-{_utf7(str(archive))}", f"a==1+AAo--e+ACA-{_utf7(str(tmp_path))}", "a==1.tar.gz"]
    for number, line in enumerate(hostile):
        (tmp_path / "packages.txt").write_text(f"{heading}\n{line}\n")
        with pytest.raises(ValueError, match="is not a pinned package"):
            download(tmp_path / "packages.txt", tmp_path / f"out-{number}")
    assert not trace.exists()


_PARTS = st.sampled_from([*"aZ0._-+!=#@:/\\;$ \t\r\n\x0b\x85\u2028{}[]", "a", "==", "==1.0", ".zip", ".whl", "file:"])


@given(st.lists(_PARTS).map("".join))
def test_what_pip_is_given_names_a_package_of_an_index(text: str) -> None:
    try:
        packages = pinned_packages(text)
    except ValueError:
        return
    for package in packages:
        requirement = Requirement(package)
        assert str(requirement) == package and requirement.url is None and requirement.marker is None
        (specifier,) = requirement.specifier
        assert specifier.operator == "==" and not re.search(r"\.(zip|whl|gz|bz2|tar|tgz|xz)$", package)


@pytest.mark.parametrize("line", ["--index-url x", "-e .", "requests", "requests>=2", "git+ssh://a/b", "a==1 --hash x"])
def test_only_pinned_packages_are_downloaded(line: str, tmp_path: Path) -> None:
    (tmp_path / "packages.txt").write_text(f"# one\n{line}\n")
    with pytest.raises(ValueError, match="is not a pinned package: write one name==version per line"):
        download(tmp_path / "packages.txt", tmp_path / "out")
