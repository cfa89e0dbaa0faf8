"""Runs that are interrupted, resumed, started twice or requested with other settings."""

from __future__ import annotations

import gc
import gzip
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import weakref
import zlib
from argparse import Namespace
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from santacoder import checkpoints
from tests.conftest import REPOSITORY
from train.evaluate.__main__ import main
from train.evaluate.benchmark_commands import open_subject
from train.evaluate.execution.sandbox import Sandbox
from train.evaluate.journal import Journal
from train.evaluate.run_folder import run_folder
from train.evaluate.tasks.data import FOLDER_VARIABLE, DataUnavailable, rows

TASKS = [
    {
        "name": f"HumanEval_{number}_task",
        "language": "py",
        "prompt": f"def task():\n    return {number} +",
        "tests": "task()\n",
        "stop_tokens": ["\ndef"],
    }
    for number in range(4)
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """MultiPL-E with only four small tasks."""
    folder = tmp_path / "data"
    (folder / "multipl-e").mkdir(parents=True)
    (folder / "multipl-e" / "humaneval-py-reworded.json").write_text(json.dumps(TASKS))
    return folder


def arguments(data: Path, store: Path, output: Path, *more: str) -> list[str]:
    return [
        *("multipl-e", "test/tiny", "--store", str(store), "--data", str(data), "--output", str(output)),
        *("--suite", "humaneval", "--language", "python", "--samples", "3", "--temperature", "0.8"),
        *("--max-new-tokens", "8", *more),
    ]


def samples(output: Path) -> list[dict]:
    path = output / "multipl-e-humaneval-python-t0.8" / "samples.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run_leaves_samples_verdicts_and_a_result(
    sandbox: Sandbox, data: Path, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(data, store, tmp_path / "out")) == 0
    assert "| multipl-e-humaneval python T=0.8 | 4 | 3 | pass@1 |" in capsys.readouterr().out
    folder = tmp_path / "out" / "multipl-e-humaneval-python-t0.8"
    assert len(samples(tmp_path / "out")) == 12
    verdicts = [json.loads(line) for line in (folder / "verdicts.jsonl").read_text().splitlines()]
    result = json.loads((folder / "result.json").read_text())
    passed = [entry for entry in verdicts if entry["result"] == "passed"]
    assert sum(c for _, c in result["tasks"].values()) == len(passed)
    assert result["scores"]["pass@1"]["value"] == pytest.approx(len(passed) / 12)
    assert result["settings"]["temperature"] == 0.8 and result["settings"]["seed"] == 0
    assert result["environment"]["python"].startswith("Python 3") and len(result["sha"]) == 40


def test_a_killed_run_goes_on_to_the_same_end(sandbox: Sandbox, data: Path, store: Path, tmp_path: Path) -> None:
    assert main(arguments(data, store, tmp_path / "whole")) == 0
    assert main(arguments(data, store, tmp_path / "broken")) == 0
    folder = tmp_path / "broken" / "multipl-e-humaneval-python-t0.8"
    lines = (folder / "samples.jsonl").read_text().splitlines(keepends=True)
    (folder / "samples.jsonl").write_text("".join(lines[:5]) + lines[5][:20])  # killed in the middle of a line
    (folder / "verdicts.jsonl").unlink()
    (folder / "result.json").unlink()
    assert main(arguments(data, store, tmp_path / "broken")) == 0
    assert samples(tmp_path / "broken") == samples(tmp_path / "whole")
    results = [
        json.loads((tmp_path / name / folder.name / "result.json").read_text())["tasks"] for name in ("whole", "broken")
    ]
    assert results[0] == results[1]


def test_other_settings_are_refused_and_nothing_is_lost(
    sandbox: Sandbox, data: Path, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(data, store, tmp_path / "out")) == 0
    before = samples(tmp_path / "out")
    assert main(arguments(data, store, tmp_path / "out", "--seed", "1")) == 2
    assert "(seed: 0 there, 1 requested); choose another --output." in capsys.readouterr().err
    settings = tmp_path / "out" / "multipl-e-humaneval-python-t0.8" / "settings.json"
    settings.write_text(settings.read_text().replace('"runner": "torch"', '"runner": "onnx"'))
    assert main(arguments(data, store, tmp_path / "out")) == 2
    assert "(runner: onnx there, torch requested); choose another --output." in capsys.readouterr().err
    assert samples(tmp_path / "out") == before


def test_two_runs_into_one_folder(tmp_path: Path) -> None:
    hold = (
        "import sys, time; from pathlib import Path; from train.evaluate.run_folder import run_folder\n"
        "with run_folder(Path(sys.argv[1]), {}):\n    print('in', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None and other.stdout.readline() == "in\n"
    with pytest.raises(ValueError, match="Another run is writing to"), run_folder(tmp_path, {}):
        pass
    other.kill()
    other.wait()
    with run_folder(tmp_path, {}):  # what a killed run held is free again
        pass


def test_one_command_measures_all_that_was_published(
    sandbox: Sandbox, data: Path, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gap = {"prompt": "x = (", "suffix": ")\n", "canonical_solution": "1"}
    gaps = [{"name": f"{language}.json", "language": language, **gap} for language in ("py", "java", "js")]
    pq.write_table(pa.Table.from_pylist(gaps), data / "santacoder-fim-task.parquet")
    function = {"code": 'def f(x):\n    """Add."""\n    return x', "docstring": "Add.", "docstring_tokens": ["Add"]}
    (data / "code-to-text-python.jsonl").write_text(json.dumps(function))
    assert main(["published", *arguments(data, store, tmp_path / "out", "--temperature", "0.2")[1:]]) == 0
    told = capsys.readouterr().out
    assert (
        "Continuation of 'def print_hello'\n  published: '():" in told and "log-probabilities differ by at most" in told
    )
    for row in ("multipl-e-humaneval python | pass@1 | 0.18", "infilling java | exact match | 0.62"):
        assert re.search(rf"\| {re.escape(row)} \| [01]\.\d{{4}} \| [+-]", told)
    assert re.search(r"\| docstrings python \| BLEU \| 0\.1813 \| [01]\.\d{4} \|", told)


def test_a_language_without_lines_to_fill_in_is_left_out(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gap = {"name": "one", "language": "js", "prompt": "x = (", "suffix": ")\n", "canonical_solution": "1"}
    pq.write_table(pa.Table.from_pylist([gap]), tmp_path / "santacoder-fim-task.parquet")
    places = ["--store", str(store), "--data", str(tmp_path), "--output", str(tmp_path / "out")]
    assert main(["infilling", "test/tiny", *places]) == 0
    told = capsys.readouterr()
    assert "tasks only in javascript." in told.err
    assert [line.split(" T=")[0] for line in told.out.splitlines()[2:]] == [
        "| infilling javascript", "| infilling-without-brackets javascript",
        "| infilling-spm javascript", "| infilling-spm-without-brackets javascript",
    ]  # fmt: skip


def test_a_damaged_archive_of_tasks_is_a_sentence(tmp_path: Path) -> None:
    content = gzip.compress(json.dumps({"code": "x" * 1000 + str(list(range(500)))}).encode())
    problems = set()
    for place in range(10, len(content), 7):
        damaged = bytearray(content)
        damaged[place] ^= 0x55
        (tmp_path / "HumanEval.jsonl.gz").write_bytes(damaged)
        with pytest.raises(DataUnavailable, match=r"HumanEval\.jsonl\.gz (cannot be read|does not belong)") as refusal:
            rows("HumanEval.jsonl.gz", ("", None), {"prompt": str}, tmp_path)
        problems.add(type(refusal.value.__cause__))
    assert zlib.error in problems


def test_one_model_is_in_memory_at_a_time(store: Path) -> None:
    with open_subject(Namespace(repo="test/tiny", revision="main", store=store, device="cpu", runner="torch")) as one:
        weights = weakref.ref(one.engine.runner._model)
        assert weights() is not None
    gc.collect()
    assert weights() is None and one.environment["precision"] == "fp32"


def test_a_damaged_journal_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text('{"a": 1}\n{"a": \n{"a": 3}\n')
    with pytest.raises(ValueError, match="Line 2 of .* is damaged"):
        Journal(tmp_path / "journal")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('[{"task_id": "HumanEval/0"}]', "Task 1 of .* does not belong to this benchmark: 'name' is missing"),
        (json.dumps([TASKS[0], {**TASKS[1], "stop_tokens": "x"}]), "Task 2 .*: 'stop_tokens' is a str, not a list"),
        ("[]", "has no tasks"),
        ("{", "cannot be read"),
        ("[1, 2]", "does not belong to this benchmark"),
    ],
)
def test_a_task_file_of_another_schema(
    data: Path, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, sentence: str
) -> None:
    (data / "multipl-e" / "humaneval-py-reworded.json").write_text(content)
    assert main(arguments(data, store, tmp_path / "out")) == 2
    assert re.search(sentence, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_data_that_is_nowhere_is_a_sentence(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(tmp_path / "nothing", store, tmp_path / "out")) == 2
    error = capsys.readouterr().err
    assert "could not be downloaded from the Hub" in error and "--data FOLDER" in error


def test_a_hub_that_does_not_answer_is_asked_once(tmp_path: Path) -> None:
    n_asked = 0
    with socket.create_server(("127.0.0.1", 0)) as listening:
        place = "http://{}:{}".format(*listening.getsockname())
        environment = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": place, "HF_HOME": str(tmp_path)}
        environment.pop(FOLDER_VARIABLE, None)
        command = [sys.executable, "-m", "train.evaluate", "infilling", "santacoder/mini", "--tasks", "20"]
        with subprocess.Popen(command, env=environment, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True) as process:
            listening.settimeout(0.1)
            while process.poll() is None:
                with suppress(TimeoutError):
                    listening.accept()[0].close()
                    n_asked += 1
            assert process.stderr
            first, *_, last = process.stderr.read().splitlines()
    assert first == "Downloading bigcode/santacoder-fim-task from the Hub, unless it is in the cache …"
    assert "could not be downloaded from the Hub" in last and "--data FOLDER" in last
    assert process.returncode == 2 and n_asked <= 2


def test_without_a_sandbox_nothing_runs(
    data: Path, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert main(arguments(data, store, tmp_path / "out")) == 2
    assert "--unsafe" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_weights_is_another_subject(
    sandbox: Sandbox, data: Path, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(checkpoints.resolve("test/tiny", store=store), tmp_path / "model"))
    command = arguments(data, store, tmp_path / "out")
    command[1] = str(folder)
    assert main(command) == 0 == main(command)
    config = folder / "config.json"
    config.write_text(config.read_text() + "\n")
    assert main(command) == 2
    assert "has a run with other settings (sha: " in capsys.readouterr().err
