"""The installation of ``requirements-serve.lock``, without PyTorch, in an environment of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from santacoder import checkpoints
from santacoder.checkpoints import DEFAULT_STORE
from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("serve") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    lock = ["--no-deps", "--require-hashes", "-r", "requirements-serve.lock"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *lock], check=True, cwd=REPOSITORY)
    return python


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_page_and_api_serve_graphs_and_say_what_the_rest_needs(python: Path, tmp_path: Path) -> None:
    subprocess.run([python, "-m", "pip", "check"], check=True)
    assert subprocess.run([python, "-c", "import torch"], capture_output=True).returncode == 1
    oldest = checkpoints.log("santacoder/mini", "main", store=DEFAULT_STORE)[-1]
    environment = {**os.environ, "SANTACODER_DATABASE_URL": f"sqlite:///{tmp_path}/shares.db"}
    command = [python, "app.py", "--port", "0", "--runs", str(tmp_path)]
    with subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            (url,) = re.findall(r"http://127.0.0.1:\d+", server.stdout.readline())
            with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
                assert client.get("/").status_code == client.get("/health").status_code == 200
                for revision in ("santacoder/mini@main", "santacoder/nano@fim"):
                    body = {"model": revision, "prompt": "def area(width, hei", "max_tokens": 8}
                    answer = client.post("/v1/completions", json=body)
                    assert answer.status_code == 200 and answer.json()["usage"]["completion_tokens"] > 0
                body = {"model": f"santacoder/mini@{oldest.sha}", "prompt": "def area("}
                refused = client.post("/v1/completions", json=body)
        finally:
            server.terminate()
    assert refused.status_code >= 400
    assert re.search(r"has no ONNX graph to run, so it needs PyTorch, which .* pip install \.", refused.text)
