"""Opens a snapshot as an engine, with the fastest runner that works."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from santacoder import checkpoints, pytorch
from santacoder.checkpoint_files import shown
from santacoder.config import SantaCoderConfig
from santacoder.engine.engine import MAX_WAITING, Engine
from santacoder.engine.onnx.runner import OnnxRunner, graph_name
from santacoder.engine.runner import N_SLOTS, Runner, affordable_slots, graph_slots, slot_memory
from santacoder.engine.sequence import Sequence
from santacoder.engine.torch_process import TorchProcess
from santacoder.errors import CheckpointError

RunnerChoice = Literal["auto", "torch", "onnx"]
# graphs by device, in order of preference: 8 bits cost almost no quality, 4 bits cost some. On a GPU the runtime
# supports attention over bound keys and values only in half precision
_PRECISIONS = {"cpu": ("int8", "fp32", "int4"), "cuda": ("bf16", "fp16", "q8f16", "q4f16")}

# bytes per weight of a graph; and what the runtime makes of an int8 one if the model is narrower than this
# (export/precisions.py): single precision
_INT8_BYTES, _BF16_BYTES = 1.02, 2.1
_SMALL_WIDTH, _UNPACKED = 512, 4
AUTOMATIC_PRECISION = {"cpu": "int8", "cuda": "bf16"}
"""The graph that is written for a device unless another is asked for."""
_GPU_FILES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg", "/dev/nvmap")


class Opened(NamedTuple):
    """An engine, and the reasons why preferred runners could not be used."""

    engine: Engine
    notices: tuple[str, ...]


def open_engine(
    snapshot: Path,
    *,
    device: str,
    runner: RunnerChoice = "auto",
    cached: Path | None = None,
    apart: bool = False,
    n_slots: int | None = N_SLOTS,
    max_waiting: int = MAX_WAITING,
    exact: bool = True,
    on_end: Callable[[Sequence], None] = lambda sequence: None,
    report: Callable[[float], None] = lambda share: None,
) -> Opened:
    """Load the fastest runner that works, and start an engine on it.

    Args:
        snapshot: the folder of the revision.
        device: ``cpu`` or ``cuda``.
        runner: the backend; ``auto`` takes the fastest.
        cached: a folder with further graphs of the revision.
        apart: let PyTorch compute in a process of its own, on the CPU.
        n_slots: the number of sequences that run at the same time; None for as many as suit the runner and the memory.
        max_waiting: the length of the engine's queue.
        exact: make texts batch-invariant to the last byte.
        on_end: called by the engine's thread with each finished sequence.
        report: called with the fraction of the weights that has been read, from 0 to 1.

    Raises:
        CheckpointError: the snapshot's files are damaged, or it has no graph for the requested runner.
    """
    tokenizer = checkpoints.read_tokenizer(snapshot)
    order = checkpoints.read_fim_order(snapshot)
    opened, notices = _open_runner(snapshot, device, runner, cached, apart, n_slots, exact, report)
    engine = Engine(opened, tokenizer, max_waiting=max_waiting, exact=exact, on_end=on_end, fim_order=order)
    return Opened(engine, tuple(notices))


def _open_runner(
    snapshot: Path,
    device: str,
    choice: RunnerChoice,
    cached: Path | None,
    apart: bool,
    n_slots: int | None,
    exact: bool,
    report: Callable[[float], None],
) -> tuple[Runner, list[str]]:
    """The first runner that works, and why earlier ones did not. Both runners are tried on the GPU, then on the CPU.

    Args:
        snapshot: the folder of the revision.
        device: ``cuda`` or ``cpu``.
        choice: the runner that is asked for.
        cached: a folder with further graphs of the revision.
        apart: whether PyTorch computes in a process of its own.
        n_slots: sequences that are decoded together.
        exact: whether texts are batch-invariant.
        report: called with the share of the weights that are loaded.

    Raises:
        CheckpointError: no runner works.
    """
    notices: list[str] = []
    for place in ("cuda", "cpu") if device == "cuda" else ("cpu",):
        found = graphs(snapshot, place, cached) if choice != "torch" else []
        for graph in found:
            try:
                config = checkpoints.read_config(snapshot)
                rows = n_slots or graph_slots(config, _itemsize(graph), place)
                return OnnxRunner(graph, config, n_slots=rows, device=place, exact=exact), notices
            except CheckpointError as error:
                notices.append(str(error))
        if choice == "onnx":
            if not found:
                notices.append(f"{shown(snapshot)} has no ONNX graph for {place}; write one with python -m export.")
            continue
        require_torch(snapshot, choice, notices)
        if apart:
            return TorchProcess(snapshot, n_slots, report), notices
        if runner := _torch_runner(snapshot, place, n_slots, report):
            return runner, notices
        notices.append(f"The GPU has too little memory for {shown(snapshot)}; it is served from the CPU.")
    raise CheckpointError(" ".join(notices) + " Or use another --runner.")


def require_torch(snapshot: Path, choice: RunnerChoice, notices: Iterable[str] = ()) -> None:
    """Check that PyTorch is installed, which ``snapshot`` needs, for the reasons in ``notices``.

    Raises:
        CheckpointError: it is not.
    """
    if not pytorch.is_installed():
        what = "--runner torch" if choice == "torch" else f"{shown(snapshot)} has no ONNX graph to run, so it"
        raise CheckpointError(" ".join([*notices, pytorch.how_to_install(what)]))


def _torch_runner(snapshot: Path, device: str, n_slots: int | None, report: Callable[[float], None]) -> Runner | None:
    """A runner of the weights; None if they do not fit into the GPU's memory."""
    import torch

    from santacoder.engine.torch_runner import TorchRunner

    try:
        dtype = torch.bfloat16 if device == "cuda" else torch.float32
        model, _ = checkpoints.load(snapshot, dtype=dtype, device=device, report=report)
        rows = n_slots or affordable_slots(model.config, dtype.itemsize)
        return TorchRunner(model, n_slots=rows)
    except torch.OutOfMemoryError:
        return None


def graphs(snapshot: Path, device: str, cached: Path | None = None) -> list[Path]:
    """The ONNX graphs of a snapshot for a device, in it and in ``cached``, the best first."""
    folders = [snapshot / "onnx", *([cached] if cached else [])]
    paths = [folder / graph_name(precision) for precision in _PRECISIONS[device] for folder in folders]
    return [path for path in paths if path.is_file()]


def graph_memory(config: SantaCoderConfig, graph: Path) -> int:
    """Bytes that the runner of a graph takes: its weights as the runtime keeps them, and eight slots, or as many as
    there are. Others take memory only when so many write at once, at most 0.7 GB."""
    weights = sum(file.stat().st_size for file in graph.parent.glob(f"{graph.name}*"))
    if _is_unpacked(config, graph.name):
        weights *= _UNPACKED
    itemsize = _itemsize(graph)
    return weights + slot_memory(config, itemsize) * affordable_slots(config, itemsize)


def estimated_graph_memory(config: SantaCoderConfig, device: str) -> int:
    """Bytes that the runner of a graph for ``device`` will take that has not been written yet."""
    if device == "cuda":
        n_weights = config.n_parameters + config.vocab_size * config.n_embd  # the embedding is in it twice
        return int(_BF16_BYTES * n_weights) + slot_memory(config, 2) * affordable_slots(config, 2)
    weights = int(config.n_parameters * _INT8_BYTES) * (_UNPACKED if _is_unpacked(config, graph_name("int8")) else 1)
    return weights + slot_memory(config, 4) * affordable_slots(config, 4)


def _itemsize(graph: Path) -> int:
    """Bytes of a number in the keys and values of a graph."""
    return 2 if "16" in graph.name else 4


def _is_unpacked(config: SantaCoderConfig, name: str) -> bool:
    """Whether the runtime unpacks the matrices of an int8 graph when it opens it, because they are small."""
    return name == graph_name("int8") and config.n_embd < _SMALL_WIDTH


def choose_device(device: str) -> str:
    """``cpu`` or ``cuda``; for ``auto``, a GPU if there is one.

    Raises:
        CheckpointError: a GPU was requested and there is none.
    """
    if device == "cuda" and not pytorch.is_installed():
        raise CheckpointError(pytorch.how_to_install("--device cuda"))
    if device == "cuda" and not _has_gpu():
        raise CheckpointError("--device cuda needs a GPU, but PyTorch finds none; use --device cpu or auto.")
    if device == "auto":
        return "cuda" if pytorch.is_installed() and _has_gpu() else "cpu"
    return device


def _has_gpu() -> bool:
    """Whether PyTorch finds a GPU. Loading it takes 0.2 GB and a second, so it is not asked on macOS, nor on a Linux
    without the file of a driver: NVIDIA's, AMD's, or that of Windows for the Linux inside it."""
    if sys.platform == "darwin" or (sys.platform == "linux" and not any(map(os.path.exists, _GPU_FILES))):
        return False
    import torch

    return torch.cuda.is_available()
