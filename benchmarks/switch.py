"""The time to switch the server to another revision, in memory or on disk.

    python -m benchmarks.switch

Creates a store with branches of a model of 20 M random parameters. Prints a table and, as the last line, JSON.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path

import torch

from app.model_pool import Models
from app.settings import Settings
from santacoder import checkpoints
from santacoder.config import SantaCoderConfig
from santacoder.engine.events import TokenEvent
from santacoder.engine.request import CompletionRequest
from santacoder.model import SantaCoder
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer

SHAPE = SantaCoderConfig(vocab_size=16_384, n_positions=1024, n_embd=384, n_layer=9, n_head=6)
BRANCHES = [f"branch-{number}" for number in range(8)]
ROUNDS = 5


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        tokenizer = Tokenizer.train([Path(__file__).read_text()], 400)
        for seed, branch in enumerate(BRANCHES):
            torch.manual_seed(seed)
            checkpoints.publish(SantaCoder(SHAPE), tokenizer, "test/random", branch, store=store)
        n_parameters = sum(p.numel() for p in checkpoints.load("test/random", BRANCHES[0], store=store)[0].parameters())
        results = measure(Models(Settings(store=store, device="cpu")))
    print(f"{n_parameters / 1e6:.1f} M parameters\n\n| switch to | median, ms | slowest, ms |\n|---|---|---|")
    for name, times in results.items():
        print(f"| {name} | {statistics.median(times):.1f} | {max(times):.1f} |")
    print(json.dumps(results))


def measure(models: Models) -> dict[str, list[float]]:
    """Milliseconds until a revision is ready, and until it has generated its first token."""
    results: dict[str, list[float]] = {
        "a branch on disk": [],
        "a branch in memory": [],
        "a branch in memory, to its first token": [],
    }
    for round_number in range(ROUNDS + 1):
        for branch in BRANCHES:
            started = time.perf_counter()
            served = models.acquire("test/random", branch)
            ready = time.perf_counter()
            sampling = SamplingParams(max_new_tokens=1, seed=0)
            stream = served.engine.submit(CompletionRequest("def f(", sampling=sampling))
            next(event for event in stream if isinstance(event, TokenEvent))
            first_token = time.perf_counter()
            served.release()
            kind = "a branch in memory" if round_number else "a branch on disk"
            results[kind].append(round((ready - started) * 1000, 2))
            if round_number:
                results["a branch in memory, to its first token"].append(round((first_token - started) * 1000, 2))
    models.close()
    return results


if __name__ == "__main__":
    main()
