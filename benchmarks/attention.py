"""Multi-query attention on a CPU: GroupQueryAttention beside plain operators (export/attention.py).

    python -m benchmarks.attention

Both graphs have four layers with random weights in 8 bits and a small vocabulary, in the width of santacoder/mini and
in that of the 1.1 B shape. They take turns; times are medians, in ms a layer, matrices included. ``--together`` lets
the second graph read tokens of several texts, each behind 300 others: one text after the other, and all in one run.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from export import graph
from export.precisions import PRECISIONS
from santacoder.config import SantaCoderConfig
from santacoder.engine.onnx.runner import OnnxRunner
from santacoder.engine.runner import Portion, Step
from santacoder.model import SantaCoder

_N_LAYER, _PAST, _N_SLOTS = 4, 300, 64
_SHAPES = {
    "mini": SantaCoderConfig(n_layer=_N_LAYER, n_embd=320, n_head=5, n_positions=1024, vocab_size=512),
    "1b": SantaCoderConfig(n_layer=_N_LAYER, n_positions=2048, vocab_size=512),
}
_ALWAYS, _NEVER = 0, 10**9


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attention", description=__doc__.split("\n")[0])
    parser.add_argument("--shapes", nargs="*", choices=_SHAPES, default=list(_SHAPES), help="(default: all)")
    parser.add_argument("--rounds", type=int, default=15, help="(default: 15)")
    parser.add_argument("--together", action="store_true", help="read several texts instead")
    args = parser.parse_args()
    (several_texts if args.together else two_graphs)(args)


def two_graphs(args: argparse.Namespace) -> None:
    print("| shape | | GroupQueryAttention, ms a layer | plain operators | ratio |\n|---|---|---|---|---|")
    for name in args.shapes:
        with tempfile.TemporaryDirectory() as folder:
            fused, plain = (_runner(_SHAPES[name], Path(folder) / str(wide), wide) for wide in (_NEVER, _ALWAYS))
        for what, run in _WORK.items():
            seconds = _in_turns(lambda: run(fused), lambda: run(plain), args.rounds)  # noqa: B023
            one, other = (1000 * each / _N_LAYER for each in seconds)
            print(f"| {name} | {what} | {one:.3f} | {other:.3f} | {other / one:.2f} |", flush=True)


def several_texts(args: argparse.Namespace) -> None:
    print("| shape | texts | tokens of each | one by one, ms a layer | in one run | ratio |\n|---|---|---|---|---|---|")
    for name in args.shapes:
        with tempfile.TemporaryDirectory() as folder:
            runner = _runner(_SHAPES[name], Path(folder) / "graph", _ALWAYS)
        for n_texts, n_tokens in _TEXTS:
            portions = [Portion(slot, [1] * n_tokens, _PAST, 1) for slot in range(n_texts)]
            alone, together = _one_by_one(runner, portions), _in_one_run(runner, portions)
            one, other = (1000 * each / _N_LAYER for each in _in_turns(alone, together, args.rounds))
            print(f"| {name} | {n_texts} | {n_tokens} | {one:.3f} | {other:.3f} | {other / one:.2f} |", flush=True)


def _one_by_one(runner: OnnxRunner, portions: list[Portion]) -> Callable[[], object]:
    return lambda: [runner.prefill(*portion) for portion in portions]


def _in_one_run(runner: OnnxRunner, portions: list[Portion]) -> Callable[[], object]:
    together = runner.prefill_together
    assert together is not None
    return lambda: together(portions)


def _runner(config: SantaCoderConfig, folder: Path, wide: int) -> OnnxRunner:
    """A runner of random weights, with plain operators from the width ``wide`` on."""
    torch.manual_seed(0)
    weights = SantaCoder(config).state_dict()
    folder.mkdir()
    graph._WIDE = wide
    path = folder / "model_int8.onnx"
    graph.write_graph(path, config, lambda name: weights[name].numpy(), PRECISIONS["int8"])
    runner = OnnxRunner(path, config, n_slots=_N_SLOTS)
    for slot in range(_N_SLOTS):
        runner.prefill(slot, [slot] * _PAST, 0, 1)
    return runner


def _decode(n_rows: int) -> Callable[[OnnxRunner], object]:
    return lambda runner: runner.decode([Step(slot, 1, _PAST) for slot in range(n_rows)])


def _prefill(n_tokens: int, past: int) -> Callable[[OnnxRunner], object]:
    return lambda runner: runner.prefill(0, [1] * n_tokens, past, 1)


_WORK = {
    "a step of one row behind 300 tokens": _decode(1),
    "of 8 rows": _decode(8),
    "of 64 rows": _decode(64),
    "16 tokens behind 300": _prefill(16, _PAST),
    "256 tokens": _prefill(256, 0),
    "256 tokens behind 300": _prefill(256, _PAST),
}


_TEXTS = ((2, 2), (4, 2), (8, 2), (2, 8), (4, 8), (8, 8), (2, 32), (4, 32), (2, 64))


def _in_turns(one: Callable[[], object], other: Callable[[], object], rounds: int) -> tuple[float, float]:
    seconds: tuple[list[float], list[float]] = ([], [])
    for round_ in range(rounds + 2):
        for work, of in zip((one, other), seconds, strict=True):
            started = time.perf_counter()
            work()
            if round_ > 1:  # the first ones allocate memory
                of.append(time.perf_counter() - started)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


if __name__ == "__main__":
    main()
