"""A model of the Hub on a CPU, from the first start to the second: seconds, memory and speed.

    python -m benchmarks.hub_model [--work FOLDER] [--memory GB]

Random weights of the 1.1 B shape (2.3 GB in the folder, and 1.2 GB for the graph) are in a Hugging Face cache as after
a download. Three further branches are links to the same files, which a server loads again for each. Memory is resident
memory of the server's process and, until the graph is there, of the one that computes with PyTorch. The graph is also
opened in a process of its own. Prints a table and, as the last line, JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.engines.prepare import random_1b
from santacoder import checkpoints
from santacoder.checkpoints import graph_cache

_MODEL = "benchmark/random-1b"
_BRANCHES = ("b", "c", "d")
# with all slots, as a server opens it
_OPEN = """
import sys, time
from pathlib import Path
from santacoder.engine.loader import open_engine
started = time.perf_counter()
open_engine(Path(sys.argv[1]), device="cpu", runner="onnx", cached=Path(sys.argv[2]), n_slots=None)
print(time.perf_counter() - started)
"""
_BODY = {"prompt": "def area(radius):", "max_tokens": 24, "temperature": 0, "stop_at": "none"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hub_model", description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, default=Path("runs"), help="folder with enough space (default: runs)")
    parser.add_argument("--memory", type=float, default=8.0, help="--model-memory of the server (default: 8)")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="hub-model-", dir=args.work) as folder:
        root = Path(folder).resolve()
        maker = multiprocessing.get_context("spawn").Process(target=random_1b, args=(root / "hub",))
        maker.start()
        maker.join()
        with _Server.running(root, args.memory) as server:
            rows = [server.row("first start"), server.wait_for_graph(), server.row("after the switch")]
        _link_branches(root)
        with _Server.running(root, args.memory) as server:
            rows.append(server.row("next start"))
            rows += [server.row(f"and branch {branch}", branch) for branch in _BRANCHES]
        opening = _seconds_to_open(root)
    print("| | seconds since the start | resident memory, GB | tokens/s |\n|---|---|---|---|")
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")
    print(f"Opening the graph took {opening:.1f} s.")
    print(json.dumps({"rows": rows, "opening": opening}))


def _link_branches(root: Path) -> None:
    """Add commits with the same files and graphs as the only one."""
    snapshot = checkpoints.resolve(_MODEL, store=root / "hub")
    for number, branch in enumerate(_BRANCHES, start=1):
        sha = f"{number:040x}"
        (snapshot.parents[1] / "refs" / branch).write_text(sha)
        for folder in (snapshot, graph_cache.folder_of(snapshot, root / "graphs")):
            shutil.copytree(folder, folder.with_name(sha), copy_function=os.link)


def _seconds_to_open(root: Path) -> float:
    snapshot = checkpoints.resolve(_MODEL, store=root / "hub")
    command = [sys.executable, "-c", _OPEN, str(snapshot), str(graph_cache.folder_of(snapshot, root / "graphs"))]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


class _Server:
    """A server whose model is the one in the cache."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._started = time.monotonic()
        assert process.stdout is not None
        self._url = process.stdout.readline().split()[2].partition("/?")[0]
        self._switched = threading.Event()
        threading.Thread(target=self._read_log, daemon=True).start()

    @classmethod
    @contextmanager
    def running(cls, root: Path, memory: float) -> Iterator[_Server]:
        environment = {**os.environ, "HF_HUB_CACHE": str(root / "hub"), "HF_HUB_OFFLINE": "1"}
        environment["SANTACODER_DATABASE_URL"] = f"sqlite:///{root}/shares.db"
        command = [sys.executable, "app.py", "--model", _MODEL, "--port", "0", "--log-level", "info"]
        command += ["--store", str(root / "store"), "--graphs", str(root / "graphs"), "--model-memory", str(memory)]
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                yield cls(process)
            finally:
                process.terminate()

    def row(self, what: str, branch: str = "main") -> dict[str, Any]:
        """Complete a text twice; the second time measures the speed."""
        self._complete(branch)
        since_start = time.monotonic() - self._started
        began = time.perf_counter()
        n_tokens = self._complete(branch)
        speed = n_tokens / (time.perf_counter() - began)
        return self._measured(what, since_start, f"{speed:.1f}")

    def wait_for_graph(self) -> dict[str, Any]:
        """Wait for the switch. The memory is that of the process that writes the graph, at its peak."""
        peak = 0
        while not self._switched.wait(0.2):
            for child in self._children("export.cached"):
                peak = max(peak, child.memory_info().rss)
        row = self._measured("the graph is written and served", time.monotonic() - self._started, "")
        time.sleep(5)  # PyTorch's memory is freed
        return {**row, "memory": f"{peak / 1e9:.2f} (the writing process)"}

    def _measured(self, what: str, seconds: float, speed: str) -> dict[str, Any]:
        processes = [psutil.Process(self._process.pid), *self._children("santacoder.engine.torch_worker")]
        return {
            "what": what,
            "seconds": f"{seconds:.1f}",
            "memory": f"{sum(each.memory_info().rss for each in processes) / 1e9:.2f}",
            "speed": speed,
        }

    def _children(self, module: str) -> list[psutil.Process]:
        return [child for child in psutil.Process(self._process.pid).children() if module in child.cmdline()]

    def _complete(self, branch: str) -> int:
        body = {"model": f"{_MODEL}@{branch}", **_BODY}
        answer = httpx.post(f"{self._url}/v1/completions", json=body, timeout=600)
        return int(answer.raise_for_status().json()["usage"]["completion_tokens"])

    def _read_log(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if "is served by its graph" in line:
                self._switched.set()


if __name__ == "__main__":
    main()
