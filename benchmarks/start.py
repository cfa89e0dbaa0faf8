"""The start of the server: from the command to the first answer, and the memory after it.

    python -m benchmarks.start [--against FOLDER ...] [--rounds 3] [-- OPTIONS OF app.py]

Starts ``python app.py`` of this checkout, and of the others named, in turns. Prints the median of each, with the
fastest and slowest, and as the last line JSON. A first round is not counted: it writes the modules' byte code.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parents[1]
_SECONDS_BETWEEN_TRIES = 0.005
_COMPLETION = {"prompt": "def add(a, b):\n    return", "max_tokens": 16, "temperature": 0}


@dataclass(frozen=True)
class Start:
    """Seconds since the command, ``processor`` seconds until the first completion, and resident MB after it."""

    health: float
    completion: float
    processor: float
    resident: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, nargs="+", default=[], metavar="FOLDER", help="other checkouts")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("options", nargs="*", help="of app.py")
    args = parser.parse_args()
    folders = [REPOSITORY, *(folder.resolve() for folder in args.against)]
    starts: dict[Path, list[Start]] = {folder: [] for folder in folders}
    for _ in range(args.rounds + 1):
        for folder in folders:
            starts[folder].append(start(folder, args.options))
    print("| checkout | /health, s | first completion, s | processor, s | resident, MB |")
    print("|---|---|---|---|---|")
    for folder in folders:
        print(f"| {folder} | {' | '.join(cells(starts[folder][1:]))} |")
    print(json.dumps({str(folder): [asdict(each) for each in starts[folder][1:]] for folder in folders}))


def start(folder: Path, options: Sequence[str]) -> Start:
    """Start the server of the checkout in ``folder``, ask it, and stop it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as temporary:
        environment = {**os.environ, "SANTACODER_DATABASE_URL": f"sqlite:///{temporary}/shares.db"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        command = [sys.executable, "app.py", "--port", str(port), *options]
        began = time.perf_counter()
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
        try:
            _wait(server, port)
            health = time.perf_counter() - began
            _ask(port, "/v1/completions", json.dumps(_COMPLETION).encode())
            completion = time.perf_counter() - began
            process = psutil.Process(server.pid)
            resident, times = process.memory_info().rss / 1e6, process.cpu_times()
        finally:
            server.terminate()
            server.wait()
    return Start(health, completion, times.user + times.system, resident)


def cells(starts: Sequence[Start]) -> list[str]:
    """The median of each figure, with the lowest and the highest."""
    columns = zip(*(asdict(each).values() for each in starts), strict=True)
    digits = (2, 2, 2, 0)
    return [
        f"{statistics.median(column):.{places}f} ({min(column):.{places}f}–{max(column):.{places}f})"
        for column, places in zip(columns, digits, strict=True)
    ]


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    while server.poll() is None:
        try:
            return _ask(port, "/health")
        except ConnectionError:
            time.sleep(_SECONDS_BETWEEN_TRIES)
    raise SystemExit("The server did not start.")


def _ask(port: int, path: str, body: bytes | None = None) -> None:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET" if body is None else "POST", path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    if answer.read() and answer.status != 200:
        raise SystemExit(f"{path} was answered with {answer.status}.")
    connection.close()


if __name__ == "__main__":
    main()
