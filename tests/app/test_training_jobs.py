"""Training jobs: started, watched, stopped, resumed and published, each in a separate process."""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gradio as gr
import psutil
import pytest

from app.attribution_indexes import Indexes
from app.context import Server
from app.limits import Limits, RateLimits
from app.model_pool import Models
from app.observability.health import Health
from app.settings import Settings
from app.shares.database import Database
from app.shares.store import ShareStore
from app.training_data import CheckEnded
from app.training_jobs import Job, Jobs, Sample
from app.training_request import JobRequest
from app.ui.page import build_playground
from app.ui.train.job_view import job_view, look
from santacoder import checkpoints
from santacoder.errors import UserError
from tests.app.harbour import write_harbour
from tests.conftest import REPOSITORY
from train.data.report import remaining_files, removed_files

SOURCE = str(REPOSITORY / "santacoder")


def wait_until(jobs: Jobs, name: str, holds: Callable[[Job], bool]) -> Job:
    for _ in range(6000):
        job = jobs.job(name)
        if holds(job):
            return job
        time.sleep(0.1)
    raise AssertionError(f"{jobs.job(name)}\n{(jobs._runs / name / 'log.txt').read_text()[-2000:]}")


@pytest.mark.slow
@pytest.mark.timeout(900)  # two jobs on a busy machine
def test_a_job_outlives_the_server_is_stopped_resumed_and_published(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    store = Path(shutil.copytree(store, tmp_path / "store", symlinks=True))  # others compare what the shared one has
    jobs = Jobs(tmp_path / "runs", store)
    name = jobs.start(JobRequest("mine/coder", "main", steps=24, base="test/tiny@other", folder=SOURCE))
    pid = json.loads((tmp_path / "runs" / name / "job.json").read_text())["pid"]
    # its threads must not wait actively, which holds up the server and the browser on the same cores
    assert psutil.Process(pid).environ()["GOMP_SPINCOUNT"] == "0"
    wait_until(jobs, name, lambda job: len(jobs.metrics(name)) > 3)
    later = Jobs(tmp_path / "runs", store)  # a server that was started again
    assert later.job(name).state == "running"
    later.stop(name)
    stopped = wait_until(later, name, lambda job: job.state != "running")
    # the page has a button for what the command line would do
    assert stopped.state == "stopped" and re.fullmatch(r"Stopped after \d+ of 24 steps\.", stopped.message)
    assert stopped.can_resume
    later.resume(name)
    finished = wait_until(later, name, lambda job: job.state == "finished")
    assert "Published mine/coder@main" in finished.message
    assert checkpoints.branches("mine/coder", store=store) == {"main": finished.commit}
    (commit,) = checkpoints.log("mine/coder", store=store)
    assert commit.metrics["bits_per_byte"] > 0 and commit.step == 24
    before, *_, now = later.samples(name)
    assert (before.step, now.step) == (0, 24) and before.prompt == now.prompt and before.text != now.text
    validated = [record["step"] for record in later.metrics(name) if "validation_loss" in record]
    assert validated[0] == -1 and validated[-1] == 23
    assert [job.name for job in later.all()] == [name]


@pytest.mark.slow
def test_a_job_learns_from_an_uploaded_archive(store: Path, tmp_path: Path) -> None:
    uploaded = shutil.make_archive(str(tmp_path / "upload" / "code"), "zip", SOURCE)
    jobs = Jobs(tmp_path / "runs", store)
    name = jobs.start(JobRequest("mine/coder", "archived", steps=2, base="test/tiny@other", archive=uploaded))
    Path(uploaded).unlink()  # the page keeps no upload for long
    assert wait_until(jobs, name, lambda job: job.state != "running").state == "finished"
    assert "archived" in checkpoints.branches("mine/coder", store=store)


@pytest.mark.slow
def test_a_job_that_cannot_be_done_says_why(store: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    jobs = Jobs(tmp_path / "runs", store)
    name = jobs.start(JobRequest("mine/coder", "main", steps=5, folder=str(tmp_path / "empty")))
    job = wait_until(jobs, name, lambda job: job.state == "failed")
    assert "Found 0 usable source file(s)" in job.message


@pytest.mark.slow
def test_files_are_checked_before_a_job_starts(store: Path, tmp_path: Path) -> None:
    write_harbour(tmp_path / "code")
    harbour = tmp_path / "code" / "harbour"
    (harbour / "empty.py").write_text("\n")
    shutil.copytree(tmp_path / "code" / "harbour" / "yawl", tmp_path / "code" / "harbour" / "copy")
    jobs = Jobs(tmp_path / "runs", store)
    report = jobs.check(JobRequest("mine/coder", "main", steps=2, base="test/tiny", folder=str(tmp_path / "code")))
    assert remaining_files(report) == "10 of 12 files remain. Left out: empty (1), exact duplicate (1)."
    assert {reason: names for reason, _, names in removed_files(report)}["empty"] == ["code/empty.py: harbour/empty.py"]
    (tmp_path / "code" / "setup.py").write_text("\n")
    with pytest.raises(UserError, match="All 10 usable files are in the one folder code/harbour"):
        jobs.check(JobRequest("mine/coder", "main", steps=2, base="test/tiny", folder=str(tmp_path / "code")))
    assert jobs.all() == [] and list((tmp_path / "runs").iterdir()) == []


def test_a_page_ends_its_own_check(store: Path, tmp_path: Path) -> None:
    write_harbour(tmp_path / "code")
    request = JobRequest("mine/coder", "main", steps=2, base="test/tiny", folder=str(tmp_path / "code"))
    jobs = Jobs(tmp_path / "runs", store)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(jobs.check, request, "a page")
        while not running.done() and not any((tmp_path / "runs").glob(".check-*")):
            time.sleep(0.01)
        with pytest.raises(UserError, match="Other files are being checked"):
            jobs.check(request, "another page")
        jobs.end_check("another page")
        jobs.end_check("a page")
        with pytest.raises(CheckEnded):
            running.result()
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.parametrize(
    "changes,sentence",
    [
        ({"folder": ""}, "Choose the training data"),
        ({"folder": "/no/such/folder"}, "is not a folder on the machine"),
        ({"packages": "a==1\n# coding: utf-7\nb"}, "'b' is not a pinned package"),
        ({"steps": 0}, "Steps must be at least 1"),
        ({"repo_id": "nameless"}, "is not a model name"),
        ({"branch": "a b"}, "is not a branch name"),
    ],
)
def test_a_request_that_cannot_be_used_is_a_sentence(changes: dict[str, object], sentence: str) -> None:
    request = {"repo_id": "mine/coder", "branch": "main", "steps": 5, "folder": SOURCE}
    with pytest.raises(ValueError, match=sentence):
        JobRequest(**{**request, **changes})  # type: ignore[arg-type]


def test_a_job_lies_in_the_folder_of_jobs(store: Path, tmp_path: Path) -> None:
    trace, hostile = tmp_path / "trace", tmp_path / "uploaded"
    hostile.mkdir()
    command = [sys.executable, "-c", f"open({str(trace)!r}, 'w').close()"]
    (hostile / "job.json").write_text(json.dumps({"request": {}, "command": command}))
    jobs = Jobs(tmp_path / "runs", store)
    for name in (str(hostile), "../uploaded", "", "..", "20260101-000000/../../uploaded"):
        for do in (jobs.resume, jobs.stop, jobs.job):
            with pytest.raises(ValueError, match="There is no job"):
                do(name)
    assert not trace.exists()


DAMAGED = [
    "",
    "{",
    "[1]",
    "null",
    "[" * 100_000,
    '{"request": {}, "command": []}',
    '{"request": 5, "command": "x", "a": 1}',
]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_job_leaves_the_others_as_they_are(store: Path, tmp_path: Path, content: str) -> None:
    runs = tmp_path / "runs"
    request = {"repo_id": "mine/coder", "branch": "main", "steps": 5}
    for name, document in [
        ("20260101-000000", json.dumps({"request": request, "command": ["true"]})),
        ("20260102-000000", content),
    ]:
        (runs / name).mkdir(parents=True)
        (runs / name / "job.json").write_text(document)
    good = runs / "20260101-000000"
    (good / "metrics.jsonl").write_text(
        '{"step": 0, "loss": 1.0}\nnonsense\n[1]\n{"step": "x"}\n{"step": 1, "loss": 0.5}\n'
    )
    (good / "samples.jsonl").write_text('{"step": 0, "prompt": "a", "text": "b"}\n{"step": null}\n')
    (good / "outcome.json").write_text('{"state": ["finished"], "message": 5}')
    jobs = Jobs(runs, store)
    damaged, whole = jobs.all()
    assert (
        damaged.state == "failed" and "its job.json is damaged; to remove the job, delete its folder" in damaged.message
    )
    assert (whole.state, whole.repo_id, whole.steps) == ("failed", "mine/coder", 5)
    assert [record["step"] for record in jobs.metrics(whole.name)] == [0, 1]
    assert jobs.samples(whole.name) == [Sample(1, "a", "b")]
    with gr.Blocks():
        view = job_view()
    for name in (damaged.name, whole.name):
        assert look(view, jobs, name).keys() == set(view.shown)
    with pytest.raises(UserError, match="is damaged"):
        jobs.resume(damaged.name)
    assert str(tmp_path) not in damaged.message


@pytest.mark.parametrize(
    "host,allow,allowed",
    [("127.0.0.1", False, True), ("localhost", False, True), ("0.0.0.0", False, False), ("0.0.0.0", True, True)],
)
def test_training_is_for_those_who_sit_at_the_machine(host: str, allow: bool, allowed: bool, store: Path) -> None:
    settings = Settings(host=host, allow_training=allow, model="test/tiny", store=store)
    shares = ShareStore(Database(settings.database_url))
    server = Server(settings, Models(settings), Indexes(settings), Limits(), Health({}), shares.signals, RateLimits())
    page = build_playground(server, shares, RateLimits())
    shares.close()
    assert any(block.elem_id == "train-start" for block in page.blocks.values()) == allowed
