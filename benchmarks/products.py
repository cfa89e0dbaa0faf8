"""The speed of a training step's matrix products in single precision: oneDNN compared with PyTorch's default.

    python -m benchmarks.products

Times are processor times of one core, which hardly depend on other load. The shapes are those of the embedded mini:
8 sequences of 1,024 tokens, a width of 320. If bf16 is faster than both, ``--precision auto`` uses it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from santacoder.linear import _onednn

_TOKENS = 8192
_LAYERS = ((320, 448), (320, 320), (320, 1280), (1280, 320))
_ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.products", description=__doc__)
    parser.parse_args()
    torch.set_num_threads(1)
    print(f"{torch.backends.cpu.get_cpu_capability()}, GFLOP/s of one core: oneDNN | PyTorch | PyTorch in bf16\n")
    for n_in, n_out in _LAYERS:
        inputs, weight = torch.randn(_TOKENS, n_in), torch.randn(n_out, n_in)
        gradient = torch.randn(_TOKENS, n_out)
        _show(f"{n_in} to {n_out}, forward", inputs, weight.t())
        _show(f"{n_in} to {n_out}, gradient of the inputs", gradient, weight)
        _show(f"{n_in} to {n_out}, gradient of the weights", gradient.t(), inputs)


def _show(name: str, left: torch.Tensor, right: torch.Tensor) -> None:
    flop = 2 * left.shape[0] * left.shape[1] * right.shape[1]
    # a part only, since bf16 may be fifty times slower
    half = left[: max(1, left.shape[0] // 16)].bfloat16(), right.bfloat16()
    rates = [
        flop / _seconds(lambda: _onednn(left, right.t())),
        flop / _seconds(lambda: left @ right),
        flop / 16 / _seconds(lambda: half[0] @ half[1]),
    ]
    print(f"{name:40}" + " | ".join(f"{rate / 1e9:6.1f}" for rate in rates), flush=True)


def _seconds(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(_ROUNDS):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


if __name__ == "__main__":
    main()
