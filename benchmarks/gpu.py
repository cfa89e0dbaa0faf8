"""What a GPU does with the published shape: PyTorch, graphs in half precision, and weights in 8 and in 4 bits.

    python -m benchmarks.gpu --work runs/gpu
    python -m benchmarks.gpu --work runs/rehearsal --device cpu --shape tiny     # without a GPU

Random weights are published, their graphs are written in one process each, and every variant is measured in a process
of its own, graphs with and without CUDA graphs. A variant that fails has its reason below the table. The bound is the
time in which the memory gives the weights of a step once, at the rate of a large copy. The error is that of the logits
of decoded tokens, against PyTorch in single precision and relative to their spread. Prints a table and, as the last
line, JSON. It needs neither a network nor a server.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from export.graph import write_graph
from export.precisions import PRECISIONS
from santacoder import checkpoints
from santacoder.config import SantaCoderConfig
from santacoder.engine.onnx.runner import OnnxRunner, graph_name
from santacoder.engine.runner import Runner, Step
from santacoder.engine.torch_runner import TorchRunner
from santacoder.model import SantaCoder
from santacoder.tokenizer import Tokenizer

REFERENCE = "torch-fp32"
GRAPHS = ("bf16", "fp16", "q8f16", "q4f16")
SHAPES = {
    "1b": SantaCoderConfig(),
    "tiny": SantaCoderConfig(vocab_size=512, n_positions=256, n_embd=64, n_layer=2, n_head=4),
}
COLUMNS = {
    "decode_1": "one stream, tokens/s",
    "share": "share of the bound",
    "decode_8": "eight streams, tokens/s",
    "prefill_128": "prefill of 128, ms",
    "prefill_1024": "of 1,024, ms",
    "gigabytes": "memory, GB",
    "start": "opened in, s",
    "error": "error of the logits",
}
_REPO = "benchmark/gpu"
_N_DECODED = 64
_ROUNDS = 5
_COPIED_BYTES = {"cuda": 4 << 30, "cpu": 256 << 20}
_MOST_SECONDS = 150


def main() -> None:
    args = _parser().parse_args()
    if not args.measure:
        args.work /= args.shape
    args.work.mkdir(parents=True, exist_ok=True)
    if args.measure:
        print(json.dumps(_measure(args.measure, args.work, args.device)))
        return
    if args.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("PyTorch finds no GPU; rehearse with --device cpu --shape tiny.")
    began = time.perf_counter()
    _prepare(args.work, SHAPES[args.shape])
    bandwidth = _bandwidth(args.device)
    for logits in args.work.glob("*.npy"):  # of an earlier run
        logits.unlink()
    results = {}
    for variant in [REFERENCE, "torch-bf16", *(f"{graph}{mode}" for graph in GRAPHS for mode in ("", "-captured"))]:
        results[variant] = _in_process(variant, args)
        _add_comparisons(results[variant], args.work / f"{variant}.npy", args.work / f"{REFERENCE}.npy", bandwidth)
        print(f"{variant}: {results[variant]}", file=sys.stderr, flush=True)
    device = torch.cuda.get_device_name() if args.device == "cuda" else "cpu"
    print(f"{device}: {bandwidth / 1e9:.0f} GB/s; all of it took {time.perf_counter() - began:.0f} s.\n")
    print(_table(results))
    print(json.dumps({"device": device, "shape": args.shape, "bandwidth": bandwidth, "results": results}))


def _prepare(work: Path, config: SantaCoderConfig) -> None:
    """Publish random weights, and write their graphs at the same time."""
    store = work / "store"
    if not checkpoints.repositories(store):
        torch.manual_seed(0)
        tokenizer = Tokenizer.train([Path(__file__).read_text()], 300)
        checkpoints.publish(SantaCoder(config), tokenizer, _REPO, store=store)
    with multiprocessing.get_context("spawn").Pool(len(GRAPHS)) as pool:
        pool.starmap(_write, [(work, precision) for precision in GRAPHS])


def _write(work: Path, precision: str) -> None:
    torch.set_num_threads(1)
    graph = _graph(work, precision)
    if not graph.is_file():
        stored = checkpoints.open_stored(_snapshot(work))
        unfinished = graph.parent.with_name(f".{precision}")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        weights = PRECISIONS[precision]
        write_graph(unfinished / graph.name, stored.config, lambda name: stored.read(name).numpy(), weights)
        unfinished.rename(graph.parent)


def _graph(work: Path, precision: str) -> Path:
    return work / precision / graph_name(precision)


def _snapshot(work: Path) -> Path:
    return checkpoints.resolve(_REPO, store=work / "store")


def _in_process(variant: str, args: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.gpu", "--work", str(args.work), "--device", args.device]
    try:
        done = subprocess.run(
            [*command, "--measure", variant], capture_output=True, text=True, timeout=_MOST_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"it took more than {_MOST_SECONDS} s"}
    if done.returncode:
        return {"failed": (done.stderr.strip() or "it ended").splitlines()[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def _measure(variant: str, work: Path, device: str) -> dict[str, Any]:
    free_before = torch.cuda.mem_get_info()[0] if device == "cuda" else 0
    began = time.perf_counter()
    runner, n_bytes = _open(variant, work, device)
    figures: dict[str, Any] = {"start": time.perf_counter() - began, "bytes": n_bytes}
    np.save(work / f"{variant}.npy", _decoded_logits(runner))
    for n_streams in (1, 8):
        _decode(runner, n_streams, 8)  # captures, and whatever is chosen for this number of rows
        seconds = _seconds(lambda n=n_streams: _decode(runner, n, _N_DECODED))  # type: ignore[misc]
        seconds -= _seconds(lambda n=n_streams: _decode(runner, n, 1))  # type: ignore[misc]
        figures[f"decode_{n_streams}"] = n_streams * (_N_DECODED - 1) / seconds
    for length in (128, 1024):
        prompt = [1 + position % 200 for position in range(min(length, runner.n_positions - 1))]
        figures[f"prefill_{length}"] = 1000 * _seconds(lambda ids=prompt: _first(runner.prefill(0, ids, 0, 1)))  # type: ignore[misc]
    if device == "cuda":
        figures["gigabytes"] = (free_before - torch.cuda.mem_get_info()[0]) / 1e9
    if variant.endswith("-captured") and not getattr(runner, "captures", False):
        figures["failed"] = "the steps could not be captured, so these figures are without CUDA graphs"
    return figures


def _open(variant: str, work: Path, device: str) -> tuple[Runner, int]:
    """The runner of a variant, and the bytes of weights that one step reads."""
    if variant.startswith("torch"):
        dtype = torch.float32 if variant == REFERENCE else torch.bfloat16
        model, _ = checkpoints.load(_snapshot(work), dtype=dtype, device=device)
        n_read = model.config.n_parameters - model.transformer.wpe.weight.numel()
        return TorchRunner(model), dtype.itemsize * n_read
    precision, _, captured = variant.partition("-")
    graph = _graph(work, precision)
    config = checkpoints.read_config(_snapshot(work))
    return OnnxRunner(graph, config, device=device, captures=bool(captured)), _bytes_read(graph)


def _bytes_read(graph: Path) -> int:
    """All weights of a graph but the tables of which a step reads a row."""
    model = onnx.load(graph, load_external_data=False).graph
    tables = {node.input[0] for node in model.node if node.op_type == "Gather"}
    lengths = {
        tensor.name: int(entry.value)
        for tensor in model.initializer
        for entry in tensor.external_data
        if entry.key == "length"
    }
    return sum(length for name, length in lengths.items() if name not in tables)


def _decoded_logits(runner: Runner) -> np.ndarray:
    """The logits after given tokens that are decoded one by one, of two streams together."""
    prompt = [1 + position for position in range(16)]
    for slot in range(2):
        runner.prefill(slot, prompt[slot:], 0, 1)
    steps = [[Step(slot, (7 * at + slot) % 200, len(prompt) - slot + at) for slot in range(2)] for at in range(32)]
    return np.stack([torch.as_tensor(runner.decode(step)).float().cpu().numpy().copy() for step in steps])


def _decode(runner: Runner, n_streams: int, count: int) -> list[list[int]]:
    """Greedy tokens of streams that decode together, after a short prompt."""
    prompt = [1 + position for position in range(16)]
    texts = [[_first(runner.prefill(slot, prompt, 0, 1))] for slot in range(n_streams)]
    for position in range(len(prompt), len(prompt) + count - 1):
        logits = runner.decode([Step(slot, text[-1], position) for slot, text in enumerate(texts)])
        for text, token in zip(texts, torch.as_tensor(logits).argmax(-1).tolist(), strict=True):
            text.append(token)
    return texts


def _first(logits: Any) -> int:
    return int(torch.as_tensor(logits)[0].argmax())


def _seconds(action: Callable[[], object]) -> float:
    """The median of a few rounds after one that does not count."""
    action()
    times = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _bandwidth(device: str) -> float:
    """Bytes a second that a large copy reads and writes."""
    source = torch.zeros(_COPIED_BYTES[device], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)

    def copy() -> None:
        target.copy_(source)
        if device == "cuda":
            torch.cuda.synchronize()

    return 2 * source.numel() / _seconds(copy)


def _add_comparisons(result: dict[str, Any], logits: Path, reference: Path, bandwidth: float) -> None:
    if "decode_1" in result:
        result["share"] = result["bytes"] / bandwidth * result["decode_1"]
    if "decode_1" in result and reference.is_file():
        expected = np.load(reference)
        result["error"] = float(np.sqrt(np.square(np.load(logits) - expected).mean()) / expected.std())


def _table(results: dict[str, dict[str, Any]]) -> str:
    rows = ["| variant | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, result in results.items():
        cells = [f"{result[key]:.4g}" if key in result else "–" for key in COLUMNS]
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*rows, "", *(f"{name}: {each['failed']}" for name, each in results.items() if "failed" in each)])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, default=Path("runs/gpu"), help="folder for weights and graphs, 9 GB")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu for a rehearsal (default: cuda)")
    parser.add_argument("--shape", choices=list(SHAPES), default="1b", help="tiny for a rehearsal (default: 1b)")
    parser.add_argument("--measure", metavar="VARIANT", help="measure one variant; for the processes of this program")
    return parser


if __name__ == "__main__":
    main()
