"""Failures while the server runs: health reports them, streams end in their protocol's format, and the server
recovers.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.observability.health import Health, disk_check
from app.settings import Settings
from tests.app.api.conftest import Serving, run_apart, serve
from tests.app.shares.postgres import POSTGRES, Postgres

BODY = {"prompt": "x", "max_tokens": 20, "temperature": 0}


@pytest.fixture
def fresh(store: Path) -> Iterator[Serving]:
    """A server that a test may break."""
    with serve(Settings(store=store, model="test/tiny", device="cpu")) as serving:
        yield serving


def wait_for_health(url: str) -> None:
    deadline = time.monotonic() + 60
    while httpx.get(f"{url}/health").status_code != 200:
        assert time.monotonic() < deadline, "the server does not recover"
        time.sleep(0.1)


def last_lines(serving: Serving) -> list[Any]:
    """The last lines of streams in three protocols."""
    requests: list[tuple[str, dict[str, Any]]] = [
        ("/v1/completions", {**BODY, "stream": True}),
        ("/generate_stream", {"inputs": "x"}),
        ("/api/generate", {"prompt": "x"}),
        ("/completion", {"prompt": "x", "stream": True}),
    ]
    texts = [httpx.post(f"{serving.url}{path}", json=body, timeout=60).text for path, body in requests]
    return [json.loads("{" + text.strip().split("\n")[-1].partition("{")[2]) for text in texts]


def test_a_runner_that_raises(fresh: Serving) -> None:
    sentence = "The model could not be run: out of memory."
    with fresh.failing(RuntimeError("out of memory")):
        openai, tgi, ollama, llama_cpp = last_lines(fresh)
        assert openai["error"] == {"message": sentence, "type": "server_error", "param": None, "code": None}
        assert tgi == {"error": sentence, "error_type": "generation"}
        assert ollama == {"error": sentence}
        assert llama_cpp == {"error": {"code": 500, "message": sentence, "type": "server_error"}}
        whole = httpx.post(f"{fresh.url}/v1/completions", json=BODY)
        assert whole.status_code == 500 and whole.json()["error"]["message"] == sentence
        for _ in range(2):
            health = httpx.get(f"{fresh.url}/health")
            assert health.status_code == 503
            assert "out of memory" in health.json()["problems"]["models"]
    wait_for_health(fresh.url)
    assert httpx.post(f"{fresh.url}/v1/completions", json=BODY).status_code == 200


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("asked_first", ["/health", "/v1/completions"])
def test_an_engine_whose_thread_dies(fresh: Serving, asked_first: str) -> None:
    with fresh.failing(SystemExit("killed")):
        answer = httpx.post(f"{fresh.url}/v1/completions", json=BODY)
        assert answer.status_code == 500 and answer.json()["error"]["message"] == "The engine has ended: killed."
    assert not fresh.engine.alive
    if asked_first == "/health":
        health = httpx.get(f"{fresh.url}/health")
        assert health.status_code == 503 and "killed" in health.json()["error"]["message"]
        wait_for_health(fresh.url)
    assert httpx.post(f"{fresh.url}/v1/completions", json=BODY).status_code == 200
    assert httpx.get(f"{fresh.url}/health").status_code == 200


def test_checks_that_find_something_or_fail_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str | None:
        raise OSError("database is locked")

    health = Health({"shares": broken, "models": lambda: None, "disk": disk_check(tmp_path / "not" / "there")})
    assert run_apart(health.problems()) == {"shares": "database is locked."}
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1_000_000}))
    assert "is full: 1 MB are left" in run_apart(health.problems())["disk"]


def test_a_check_that_hangs_runs_once_and_delays_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.observability.health._SECONDS_TO_ANSWER", 0.1)
    free, n_started, others = threading.Event(), 0, set(threading.enumerate())

    def hanging() -> str | None:
        nonlocal n_started
        n_started += 1
        free.wait()
        return "database is locked."

    health = Health({"shares": hanging, "models": lambda: None}, hanging)

    async def ask() -> list[dict[str, str]]:
        return await asyncio.gather(*(health.problems() for _ in range(50)))

    assert all("no answer" in problems["shares"] for problems in run_apart(ask()))
    assert n_started == 1
    for _ in range(5):
        health.start_mending()
    health.close()
    free.set()
    for thread in set(threading.enumerate()) - others:
        thread.join(30)
    assert n_started == 2  # the check and one repair


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    other = sqlite3.connect(folder / "shares.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


@contextmanager
def full(folder: Path) -> Iterator[None]:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("a disk of a megabyte can be mounted by root alone")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def shares_fail(url: str, sentence: str) -> None:
    deadline = time.monotonic() + 30  # what was well a second ago is well
    while (health := httpx.get(f"{url}/health", timeout=60)).status_code == 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert health.status_code == 503 and sentence in health.json()["problems"]["shares"]
    # what has nothing to do with shares goes on
    assert httpx.post(f"{url}/v1/completions", json=BODY).status_code == 200


@pytest.mark.parametrize("drill,sentence", [(locked, "is busy"), (full, "The disk that holds the shares is full")])
def test_shares_that_cannot_be_written(
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    drill: Callable[[Path], AbstractContextManager[None]],
    sentence: str,
) -> None:
    monkeypatch.setattr("app.shares.database._SECONDS_TO_WAIT_FOR_A_LOCK", 0.2)
    settings = Settings(
        store=store, model="test/tiny", device="cpu", database_url=f"sqlite:///{tmp_path / 'disk'}/shares.db"
    )
    (tmp_path / "disk").mkdir()
    disk = small_disk(tmp_path / "disk") if drill is full else nullcontext()
    with disk, serve(settings) as serving:
        wait_for_health(serving.url)
        with drill(tmp_path / "disk"):
            shares_fail(serving.url, sentence)
        wait_for_health(serving.url)


@pytest.mark.slow
@pytest.mark.skipif(POSTGRES is None, reason="there is no PostgreSQL on this machine")
def test_a_database_that_cannot_be_reached(store: Path) -> None:
    postgres = Postgres()
    settings = Settings(store=store, model="test/tiny", device="cpu", database_url=postgres.url)
    try:
        with serve(settings) as serving:
            wait_for_health(serving.url)
            postgres.kill()
            shares_fail(serving.url, "does not respond")
            postgres.start()
            wait_for_health(serving.url)
    finally:
        postgres.stop()
