"""What a server that runs a graph need not load."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.conftest import REPOSITORY

_HEAVY = {"libtorch_cpu.so", "libtorch_python.so", "libarrow.so"}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="maps of a process are read from /proc")
def test_a_graph_is_served_on_a_cpu_without_pytorch_and_arrow(tmp_path: Path) -> None:
    environment = {**os.environ, "SANTACODER_DATABASE_URL": f"sqlite:///{tmp_path}/shares.db"}
    command = [sys.executable, "app.py", "--port", "0", "--device", "cpu", "--runner", "onnx"]
    with subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            (url,) = re.findall(r"http://127.0.0.1:\d+", server.stdout.readline())
            with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
                for settings in ({"temperature": 0}, {"n": 2, "logprobs": 3}, {"max_tokens": 0, "echo": True}):
                    body = {"prompt": "def area(width, hei", "max_tokens": 40, **settings}
                    assert client.post("/v1/completions", json=body).status_code == 200
                body = {"input_prefix": "def add(a, b):\n    return ", "input_suffix": "\n", "n_predict": 8}
                assert client.post("/infill", json=body).status_code == 200
                assert client.get("/").status_code == 200
            maps = Path(f"/proc/{server.pid}/maps").read_text()
            status = Path(f"/proc/{server.pid}/status").read_text()
        finally:
            server.terminate()
    loaded = {path.rpartition("/")[2] for path in re.findall(r"/\S+", maps)}
    assert any(name.startswith("onnxruntime_pybind11_state") for name in loaded)
    assert not {library for library in _HEAVY if any(name.startswith(library) for name in loaded)}
    (resident,) = re.findall(r"VmRSS:\s+(\d+) kB", status)
    assert int(resident) * 1024 < 350e6, "260 MB when it was measured"


_IMPORT = """
import sys
from app.gradio_start import import_lightly
import_lightly()
import gradio.caching
assert "pandas" not in sys.modules
key = gradio.caching.pd.DataFrame
import pandas
assert key is pandas.DataFrame and sys.modules["pandas"] is pandas
"""


@pytest.mark.slow
def test_pandas_is_there_when_gradio_uses_it() -> None:
    subprocess.run([sys.executable, "-c", _IMPORT], cwd=REPOSITORY, check=True)
