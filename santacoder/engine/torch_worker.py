"""The process that computes with PyTorch for ``santacoder.engine.torch_process``, until its standard input ends."""

from __future__ import annotations

import os
import pickle
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

import torch

from santacoder import checkpoints
from santacoder.engine.runner import affordable_slots
from santacoder.engine.torch_process import Failure, Ready
from santacoder.engine.torch_runner import TorchRunner
from santacoder.errors import CheckpointError, as_sentence

_TRIALS = 20  # on a busy machine, the fastest of a few may be a disturbed one


def main() -> None:
    calls, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # so that nothing else is written between the answers
    snapshot, n_slots = Path(sys.argv[1]), int(sys.argv[2])
    try:
        dtype = torch.bfloat16 if bf16_is_faster() else torch.float32
        model, _ = checkpoints.load(snapshot, dtype=dtype, device="cpu", report=lambda share: _send(answers, share))
        runner = TorchRunner(model, n_slots=n_slots or affordable_slots(model.config, torch.float32.itemsize))
    except (CheckpointError, RuntimeError) as error:  # PyTorch raises RuntimeError for lack of memory
        _send(answers, Failure(as_sentence(error)))
        return
    _send(answers, Ready(runner.precision, runner.n_slots, runner.n_positions))
    _serve(runner, dtype, calls, answers)


def _serve(runner: TorchRunner, dtype: torch.dtype, calls: BinaryIO, answers: BinaryIO) -> None:
    while True:
        try:
            method, arguments = pickle.load(calls)
        except (EOFError, pickle.UnpicklingError):  # the server has ended, perhaps in the midst of a call
            return
        try:
            result = _called(runner, dtype, method, arguments)
        except Exception as error:
            result = Failure(as_sentence(error))
        _send(answers, result)


def _called(runner: TorchRunner, dtype: torch.dtype, method: str, arguments: tuple[Any, ...]) -> Any:
    """Keys and values travel as bytes in arrays, because the other process knows no tensors."""
    if method == "restore":
        slot, saved = arguments
        return runner.restore(slot, torch.from_numpy(saved).view(dtype))
    result = getattr(runner, method)(*arguments)
    return result.view(torch.uint8).numpy() if method == "save" else result


def _send(answers: BinaryIO, answer: Any) -> None:
    pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
    answers.flush()


def bf16_is_faster() -> bool:
    """Whether this processor reads a bf16 matrix faster than one in single precision: one row by a matrix of the
    published shape, the fastest of a few. Without instructions for it, PyTorch needs fifty times as long, so that is
    not tried.
    """
    if not (torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        return False
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        row, matrix = torch.ones(1, 2048, dtype=dtype), torch.ones(8192, 2048, dtype=dtype)
        times = []
        for _ in range(_TRIALS):
            started = time.perf_counter()
            torch.nn.functional.linear(row, matrix)
            times.append(time.perf_counter() - started)
        seconds[dtype] = min(times)
    return seconds[torch.bfloat16] < seconds[torch.float32]


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:  # the server has ended; what could not be sent is not flushed again
        os._exit(1)
