"""The effect of hostile requests on other clients: the slowest /health response and the longest pause of a stream.

    python -m benchmarks.hostile
    python -m benchmarks.hostile --only tokenize --json hostile.json

A server is started on loopback, and each request is as large as the server allows. The baseline is measured in quiet
periods between the cases. Memory and disk usage of the server are measured before the cases and after each round: if
they do not grow in the second round, what is kept after the first is bounded. The exit code is 1 if a case delays other
clients by more than ``--most`` seconds beyond the baseline, or if the last round grows by more than ``--growth`` MB.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from benchmarks.hostile.cases import Client, cases
from benchmarks.hostile.watch import Watch

_QUIET_SECONDS = 4.0
_SECONDS_TO_SETTLE = 40.0  # the server returns free memory to the system every half minute


@dataclass
class Result:
    """The measurements of a case: times in seconds, memory in MB relative to before."""

    name: str
    round: int
    answer: str
    seconds: float
    health: float
    gap: float
    memory: float


@dataclass
class Held:
    """Memory and disk usage of the server, in MB."""

    memory: float
    disk: float


def measure(name: str, number: int, work: Callable[[], object], watch: Watch, memory: Callable[[], float]) -> Result:
    before = memory()
    watch.reset()
    started = time.perf_counter()
    answer = work()
    seconds = time.perf_counter() - started
    health, gap = watch.complete()
    return Result(name, number, str(answer), seconds, health, gap, memory() - before)


@contextmanager
def server(port: int) -> Iterator[tuple[Client, psutil.Process, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "SANTACODER_DATABASE_URL": f"sqlite:///{folder}/shares.db",
            "GRADIO_TEMP_DIR": f"{folder}/uploads",
        }
        command = [sys.executable, "app.py", "--port", str(port), "--runs", f"{folder}/runs"]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            client = Client(process.stdout.readline().split()[2].partition("/?")[0])
            yield client, psutil.Process(process.pid), Path(folder)
        finally:
            process.terminate()
            process.wait()


def disk(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument(
        "--only", default="", help="run only cases whose names contain one of these texts, separated by commas"
    )
    parser.add_argument("--rounds", type=int, default=2, help="times that all cases are run (default: %(default)s)")
    parser.add_argument(
        "--most", type=float, default=0.2, help="maximum delay in seconds beyond the baseline (default: %(default)s)"
    )
    parser.add_argument(
        "--growth", type=float, default=50, help="maximum growth in the last round in MB (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    results, held = [], []
    with server(options.port) as (client, process, folder):
        client.post("/v1/completions", {"prompt": "x", "max_tokens": 64})  # excludes one-time initialisation
        client.send("GET", "/")
        watch = Watch(client.url)
        wanted = options.only.split(",")
        chosen = {name: work for name, work in cases(client).items() if any(part in name for part in wanted)}
        memory = lambda: process.memory_info().rss / 1e6  # noqa: E731
        quiet = lambda seconds: measure("baseline", 0, lambda: time.sleep(seconds), watch, memory)  # noqa: E731
        with watch.running():
            baseline = [quiet(_QUIET_SECONDS)]
            held.append(Held(memory(), disk(folder)))
            print(f"{'':34} {'answer':>10} {'seconds':>8} {'health':>8} {'gap':>8} {'MB':>7}")
            for number in range(1, options.rounds + 1):
                for name, work in chosen.items():
                    results.append(measure(name, number, work, watch, memory))
                    show(results[-1])
                    baseline.append(quiet(_QUIET_SECONDS / 4))
                time.sleep(_SECONDS_TO_SETTLE)
                held.append(Held(memory(), disk(folder)))
    health, gap = (max(getattr(each, name) for each in baseline) for name in ("health", "gap"))
    print(f"baseline: /health {health:.3f} s, gap {gap:.3f} s")
    print(f"memory: {', then '.join(f'{each.memory:.0f}' for each in held)} MB")
    print(f"disk: {', then '.join(f'{each.disk:.1f}' for each in held)} MB")
    if options.json:
        figures = {"results": [asdict(each) for each in [*baseline, *results]], "held": [asdict(each) for each in held]}
        options.json.write_text(json.dumps(figures, indent=1))
    most_health, most_gap = health + options.most, gap + options.most
    late = {each.name: None for each in results if each.health > most_health or each.gap > most_gap}
    print(f"beyond the baseline by more than {options.most} s: {', '.join(late) or 'none'}")
    grown = held[-1].memory - held[-2].memory, held[-1].disk - held[-2].disk
    return bool(late) or max(grown) > options.growth


def show(result: Result) -> None:
    print(
        f"{result.name:34} {result.answer[:10]:>10} {result.seconds:8.2f} {result.health:8.3f} {result.gap:8.3f} "
        f"{result.memory:7.0f}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
