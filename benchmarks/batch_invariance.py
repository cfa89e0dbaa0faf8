"""Whether completions depend on concurrent requests, and the cost of batch invariance.

    python -m benchmarks.batch_invariance [--model santacoder/mini] [--texts 24] [--tokens 64] [--runner onnx]

Each text is generated alone, and then all of them concurrently in eight slots: half of them greedily, half sampled at
temperature 0.8. The graph runs in two modes: ``exact``, the default, and ``--no-exact``. Measurements of the two modes
alternate. Prints a table and, as the last line, JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import sysconfig
import time
from pathlib import Path

import numpy as np

from santacoder import checkpoints
from santacoder.engine.engine import Engine
from santacoder.engine.events import TokenEvent
from santacoder.engine.loader import open_engine
from santacoder.engine.request import CompletionRequest
from santacoder.engine.runner import Runner, Step
from santacoder.engine.stream import Stream
from santacoder.sampling import SamplingParams

_MODULES = ("argparse", "configparser", "contextlib", "csv", "functools", "inspect", "textwrap")
_STEPS = 400
_CONTEXT = 128
Row = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch_invariance", description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="santacoder/mini", help="model in the store (default: santacoder/mini)")
    parser.add_argument("--texts", type=int, default=24, help="number of texts (default: 24)")
    parser.add_argument("--tokens", type=int, default=64, help="tokens per text (default: 64)")
    parser.add_argument("--runner", choices=["onnx", "torch"], default="onnx", help="(default: onnx)")
    args = parser.parse_args()
    snapshot = checkpoints.resolve(args.model)
    engines = {
        name: open_engine(snapshot, device="cpu", runner=args.runner, max_waiting=args.texts, exact=exact).engine
        for name, exact in (("exact", True), ("not exact", False))
    }
    requests = make_requests(args.texts, args.tokens)
    results = write(engines, requests)
    for name, seconds in step_seconds({name: engine.runner for name, engine in engines.items()}).items():
        results[name] |= seconds
    for engine in engines.values():
        engine.close()
    columns = list(results["exact"])
    print("| | " + " | ".join(columns) + " |\n" + "|---" * (len(columns) + 1) + "|")
    for name, row in results.items():
        print(f"| {name} | " + " | ".join(f"{row[column]:.4g}" for column in columns) + " |")
    print(json.dumps({"model": args.model, "runner": args.runner, "texts": args.texts, "results": results}))


def make_requests(count: int, max_new_tokens: int) -> list[CompletionRequest]:
    """Excerpts of various lengths from Python's standard library."""
    rng = random.Random(0)
    texts = [(Path(sysconfig.get_path("stdlib")) / f"{module}.py").read_text() for module in _MODULES]
    requests = []
    for number in range(count):
        text, length = rng.choice(texts), rng.randrange(100, 1500)
        start = rng.randrange(len(text) - length)
        sampling = SamplingParams(max_new_tokens, 0.8 * (number % 2), seed=number)
        requests.append(CompletionRequest(text[start : start + length], None, sampling))
    return requests


def write(engines: dict[str, Engine], requests: list[CompletionRequest]) -> dict[str, Row]:
    """The number of texts that differ, and milliseconds per token alone and batched."""
    alone: dict[str, list[list[int]]] = {name: [] for name in engines}
    seconds = dict.fromkeys(engines, 0.0)
    for request in requests:
        for name, engine in engines.items():
            started = time.perf_counter()
            alone[name].append(ids_of(engine.submit(request)))
            seconds[name] += time.perf_counter() - started
    rows = {}
    for name, engine in engines.items():
        started = time.perf_counter()
        streams = [engine.submit(request) for request in requests]
        together = [ids_of(stream) for stream in streams]
        in_company = time.perf_counter() - started
        n_tokens = sum(map(len, together))
        rows[name] = {
            "texts that differ": sum(a != b for a, b in zip(together, alone[name], strict=True)),
            "alone, ms per token": seconds[name] / sum(map(len, alone[name])) * 1000,
            "batched, ms per token": in_company / n_tokens * 1000,
        }
    return rows


def step_seconds(runners: dict[str, Runner]) -> dict[str, Row]:
    """Step times of one stream and of all slots, at the same context length. On a busy machine, use the low
    percentile.
    """
    rows: dict[str, Row] = {name: {} for name in runners}
    for n_streams in (1, 8):
        measured: dict[str, list[float]] = {name: [] for name in runners}
        steps = [Step(slot, 5, _CONTEXT) for slot in range(n_streams)]
        for runner in runners.values():
            for slot in range(n_streams):
                runner.prefill(slot, range(_CONTEXT), 0, 1)
        for _ in range(_STEPS):
            for name, runner in runners.items():
                started = time.perf_counter()
                runner.decode(steps)
                measured[name].append(time.perf_counter() - started)
        for name, times in measured.items():
            low, median = np.percentile(times, [5, 50]) * 1000
            rows[name] |= {f"step of {n_streams}, ms: 5th percentile": low, f"step of {n_streams}, ms: median": median}
    return rows


def ids_of(stream: Stream) -> list[int]:
    return [event.id for event in stream if isinstance(event, TokenEvent)]


if __name__ == "__main__":
    main()
