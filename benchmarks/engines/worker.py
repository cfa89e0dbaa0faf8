"""The measurements of an engine, shared by all engines that run in Python."""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

N_PROMPT = 128
N_DECODED = 48
ROUNDS = 3
# small models run for more than three rounds, large ones for fewer
MIN_SECONDS = 0.5
MAX_SECONDS = 3.0


class Engine(Protocol):
    n_positions: int

    def generate(self, prompts: list[list[int]], max_new_tokens: int) -> None:
        """Generate exactly ``max_new_tokens`` tokens for each prompt, greedily and in one batch."""
        ...


def run(make_engine: Callable[[str, dict[str, str]], Engine]) -> None:
    """Measure the variant given on the command line and print the figures as JSON."""
    engine = make_engine(sys.argv[1], json.loads(sys.argv[2]))
    engine.generate([_prompt(N_PROMPT)], 1)
    figures = {"cold_start": _process_age()}
    figures["prefill_128"] = _seconds(lambda: engine.generate([_prompt(128)], 1))
    long = min(1024, engine.n_positions - 1)
    figures["prefill_1024"] = _seconds(lambda: engine.generate([_prompt(long)], 1))
    for batch_size in (1, 8):
        figures[f"decode_{batch_size}"] = _decode_speed(engine, batch_size)
    figures["peak_gb"] = _peak_bytes() / 1e9
    print(json.dumps(figures))


def _decode_speed(engine: Engine, batch_size: int) -> float:
    """Tokens per second over all rows, from the additional time of more tokens after the same prompts."""
    prompts = [_prompt(N_PROMPT) for _ in range(batch_size)]
    # warm-up for anything that is compiled for this batch size
    engine.generate(prompts, 2)
    short, long = (
        _seconds(lambda count=count: engine.generate(prompts, count))  # type: ignore[misc]
        for count in (2, 2 + N_DECODED)
    )
    return batch_size * N_DECODED / (long - short)


def _seconds(action: Callable[[], None]) -> float:
    """The median time of a few rounds, or of as many as fit in the time limit."""
    seconds: list[float] = []
    while (len(seconds) < ROUNDS or sum(seconds) < MIN_SECONDS) and sum(seconds) < MAX_SECONDS:
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _prompt(length: int) -> list[int]:
    """Random ids, different each time, so that prompts are never cached."""
    return random.choices(range(200), k=length)


def _process_age() -> float:
    started = float(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19]) / 100
    return float(Path("/proc/uptime").read_text().split()[0]) - started


def _peak_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
