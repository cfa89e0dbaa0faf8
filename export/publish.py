"""From a revision to a commit with its graphs: they are written, compared with PyTorch and, if accepted, published."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from tqdm import tqdm

from export.graph import write_graph
from export.precisions import PRECISIONS
from export.verify import Reference, Verification, validation_texts, verify
from export.web_runner import WebRunner
from santacoder import checkpoints, weight_files
from santacoder.checkpoints import CheckpointError
from santacoder.config import SantaCoderConfig
from santacoder.engine.onnx.runner import OnnxRunner, graph_name
from santacoder.model import SantaCoder

_HEADING = "## ONNX graphs"
_FIGURES = "onnx/verification.json"


def export(
    repo_id: str, branch: str, precisions: Sequence[str], device: str, validation: Sequence[Path], store: Path
) -> list[str]:
    """Add the graphs of ``precisions`` to the branch, as far as they can be published.

    Returns a sentence about each of the others.

    Raises:
        CheckpointError: there is no such branch, or its weights have changed.
        OSError, UnicodeDecodeError: a ``validation`` file cannot be read.
    """
    if branch not in (known := checkpoints.branches(repo_id, store=store)):
        raise CheckpointError(
            f"Graphs are added to a branch, and {repo_id} has no branch {branch!r}, only {', '.join(known)}."
        )
    exported = checkpoints.resolve(repo_id, branch, store=store)
    model, tokenizer = checkpoints.load(exported)
    reference = Reference.of(model, tokenizer, validation_texts(validation))
    refused: list[str] = []
    with tempfile.TemporaryDirectory(dir=store) as folder:
        graphs = {}
        for precision in precisions:
            with _refusals(precision, refused):
                graphs[precision] = _write(model, precision, Path(folder), device)
        config = model.config
        del model  # free memory: the runtime loads the weights again
        accepted = []
        for precision, graph in graphs.items():
            with _refusals(precision, refused):
                accepted.append(_accept(graph, config, reference, device))
        if accepted:
            _publish(repo_id, branch, store, exported, Path(folder), accepted)
    return refused


@contextmanager
def _refusals(precision: str, refused: list[str]) -> Iterator[None]:
    """Record what prevents a graph from being published, and continue."""
    try:
        yield
    except (CheckpointError, OSError) as error:
        refused.append(f"{precision}: {error}")


def _write(model: SantaCoder, precision: str, folder: Path, device: str) -> Path:
    if precision == "bf16" and device == "cpu":
        raise CheckpointError(
            "bf16 graphs run only on a GPU; on a machine with one, use --device cuda to check the graph."
        )
    path = folder / graph_name(precision)
    weights = model.state_dict()
    with tqdm(total=100, desc=f"{precision}: writing", unit="%") as bar:
        write_graph(
            path,
            model.config,
            lambda name: weights[name].float().numpy(),
            PRECISIONS[precision],
            lambda share: bar.update(round(100 * share) - bar.n),
        )
    return path


def _accept(graph: Path, config: SantaCoderConfig, reference: Reference, device: str) -> Verification:
    """Compare a graph with the model.

    Raises:
        CheckpointError: the graph cannot be run, or misses its tolerance.
    """
    size = sum(file.stat().st_size for file in graph.parent.glob(f"{graph.name}*"))
    is_for_browsers = graph.name == graph_name("web")
    runner = WebRunner(graph, config) if is_for_browsers else OnnxRunner(graph, config, n_slots=1, device=device)
    result = verify(runner, reference, size)
    print(_line(result))
    tolerance = PRECISIONS[result.precision].tolerance
    if not result.rise <= tolerance:
        raise CheckpointError(
            f"bits per byte increase by {result.rise:.2%}, more than the tolerance of {tolerance:.2%}; the graph is "
            "not published."
        )
    return result


def _publish(
    repo_id: str, branch: str, store: Path, exported: Path, folder: Path, accepted: list[Verification]
) -> None:
    """Publish a commit with the graphs, the table of all graphs in the model card, and the figures as JSON."""
    snapshot = checkpoints.resolve(repo_id, branch, store=store)
    if not weight_files.are_equal(exported, snapshot):
        raise CheckpointError(
            f"The weights of {repo_id}@{branch} have changed since the export began; export it again."
        )
    card = snapshot / "README.md"
    text = card.read_text(encoding="utf-8") if card.is_file() else f"# {repo_id}\n"
    results = _with_earlier(snapshot / _FIGURES, accepted)
    files: dict[str, bytes | Path] = {
        "README.md": _with_table(text, results).encode(),
        _FIGURES: json.dumps([result.as_dict() for result in results], indent=2).encode(),
    }
    for result in accepted:
        name = graph_name(result.precision)
        files |= {f"onnx/{name}": folder / name, f"onnx/{name}_data": folder / f"{name}_data"}
    sha = checkpoints.add_files(repo_id, branch, files, store=store)
    print(f"{repo_id}@{branch} is now {sha}.")


def _with_earlier(figures: Path, accepted: list[Verification]) -> list[Verification]:
    """The results of the graphs that the commit will have: ``accepted``, and those that stay."""
    earlier = json.loads(figures.read_text()) if figures.is_file() else []
    new = {result.precision for result in accepted}
    return [*accepted, *(Verification(**entry) for entry in earlier if entry["precision"] not in new)]


def _with_table(card: str, results: list[Verification]) -> str:
    """The model card with the table of precisions at its end, replacing an older one."""
    rows = [
        f"| {result.precision} | {result.bytes / 1e6:.1f} | {result.bits_per_byte:.4f} "
        f"| {result.bits_per_byte_of_reference:.4f} | {result.agreement:.1%} | {result.decode_tokens_per_second:,.0f} |"
        for result in results
    ]
    without = re.sub(rf"^{_HEADING}\n.*?(?=^## |\Z)", "", card, flags=re.MULTILINE | re.DOTALL)
    return "\n".join(
        [
            without.rstrip(),
            "",
            _HEADING,
            "Compared with PyTorch in fp32 on the same text; for graphs exported earlier, it may be another one. "
            f"The speed is that of a single stream on the exporting machine ({torch.get_num_threads()} threads).",
            "",
            "| precision | MB | bits per byte | of PyTorch | same greedy token | tokens/s |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _line(result: Verification) -> str:
    return (
        f"{result.precision}: {result.bytes / 1e6:.1f} MB, {result.bits_per_byte:.4f} bits per byte "
        f"({result.rise:+.2%}), largest logit error {result.logit_error:.2g}, same greedy token at "
        f"{result.agreement:.1%} of positions, {result.decode_tokens_per_second:,.0f} tokens/s"
    )
