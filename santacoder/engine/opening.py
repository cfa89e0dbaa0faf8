"""From a snapshot to an engine, by the fastest runner that works."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from santacoder import checkpoints
from santacoder.engine.engine import MAX_WAITING, Engine
from santacoder.engine.onnx_runner import OnnxRunner, graph_name
from santacoder.engine.sequence import Sequence
from santacoder.engine.torch_runner import TorchRunner
from santacoder.errors import CheckpointError

RunnerChoice = Literal["auto", "torch", "onnx"]
N_SLOTS = 8
# graphs by device, the one to be served first: 8 bits cost next to nothing in quality, 4 bits something
_PRECISIONS = {"cpu": ("int8", "fp32", "int4"), "cuda": ("bf16", "fp16", "fp32")}


class Opened(NamedTuple):
    """An engine, and why runners that were a better choice did not work."""

    engine: Engine
    notices: tuple[str, ...]


def open_engine(
    snapshot: Path,
    *,
    device: str,
    runner: RunnerChoice = "auto",
    n_slots: int = N_SLOTS,
    max_waiting: int = MAX_WAITING,
    on_end: Callable[[Sequence], None] = lambda sequence: None,
    report: Callable[[float], None] = lambda share: None,
) -> Opened:
    """``max_waiting`` and ``on_end`` are the engine's; ``report`` is told which share of the weights has been read,
    from 0 to 1.

    Raises:
        CheckpointError: the snapshot's files are damaged, or there is no graph for the runner asked for.
    """
    serve = partial(Engine, max_waiting=max_waiting, on_end=on_end)
    notices: list[str] = []
    for graph in graphs(snapshot, device) if runner != "torch" else []:
        try:
            onnx = OnnxRunner(graph, checkpoints.read_config(snapshot), n_slots=n_slots, device=device)
            return Opened(serve(onnx, checkpoints.read_tokenizer(snapshot)), tuple(notices))
        except CheckpointError as error:
            notices.append(str(error))
    if runner == "onnx":
        raise CheckpointError(
            " ".join(notices)
            or f"{snapshot} has no ONNX graph for {device}; write one with python -m export, or use another --runner."
        )
    model, tokenizer = checkpoints.load(snapshot, dtype=torch_dtype(device), device=device, report=report)
    return Opened(serve(TorchRunner(model, n_slots=n_slots), tokenizer), tuple(notices))


def graphs(snapshot: Path, device: str) -> list[Path]:
    """The snapshot's ONNX graphs for a device, the best first."""
    paths = [snapshot / "onnx" / graph_name(precision) for precision in _PRECISIONS[device]]
    return [path for path in paths if path.is_file()]


def torch_dtype(device: str) -> torch.dtype:
    """What the PyTorch runner computes in."""
    return torch.bfloat16 if device == "cuda" else torch.float32


def choose_device(device: str) -> str:
    """``cpu`` or ``cuda``; for ``auto``, a GPU if there is one.

    Raises:
        CheckpointError: a GPU was asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise CheckpointError("--device cuda was asked for, but PyTorch finds no GPU here; use --device cpu or auto.")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device
