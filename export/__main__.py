"""Export a revision to ONNX graphs, check them against PyTorch, and publish them as a new commit on its branch.

Graphs of a model that is not in the store are written to the user's cache, where the server looks for them.
"""

from __future__ import annotations

from santacoder import pytorch

pytorch.require_for_command("export", "python -m export")

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tqdm import tqdm

from export.cached import write_cached_graph
from export.precisions import PRECISIONS
from export.publish import export
from santacoder import checkpoints
from santacoder.checkpoints import CheckpointError, graph_cache
from santacoder.engine.loader import AUTOMATIC_PRECISION
from santacoder.paths import command_name, user_path


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Returns 0 if all graphs were published, 1 if one was rejected, 2 if nothing could be
    exported.
    """
    given = _parser().parse_args(arguments)
    precisions = [AUTOMATIC_PRECISION[given.device] if name == "auto" else name for name in given.precision]
    try:
        snapshot = checkpoints.resolve(given.repo, given.revision, store=given.store)
        if graph_cache.is_cached(snapshot):
            _write_to_cache(snapshot, precisions)
            return 0
        refused = export(given.repo, given.revision, precisions, given.device, given.validation, given.store)
    except (CheckpointError, OSError, UnicodeDecodeError) as error:
        print(error, file=sys.stderr)
        return 2
    for sentence in refused:
        print(sentence, file=sys.stderr)
    return 1 if refused else 0


def _write_to_cache(snapshot: Path, precisions: Sequence[str]) -> None:
    if "web" in precisions:
        raise CheckpointError(
            "Graphs for browsers of models that are not in the store are written by: python -m export.site"
        )
    folder = graph_cache.default_folder()
    for precision in precisions:
        with tqdm(total=100, desc=f"{precision}: writing", unit="%") as bar:
            graph = write_cached_graph(snapshot, folder, precision, graph_cache.MAX_BYTES, partial(_advance, bar))
        print(f"The server will use {graph} from its next start.")


def _advance(bar: tqdm, share: float) -> None:
    bar.update(round(100 * share) - bar.n)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=command_name("export", "python -m export"),
        description="Export any revision to ONNX graphs. Graphs of a model in the store are checked against PyTorch on "
        "real code, and those within tolerance are published as a new commit on its branch. Graphs of a model of the "
        "Hub, such as bigcode/santacoder, are written to the user's cache (list and drop them with "
        f"{command_name('checkpoints', 'python -m santacoder.checkpoints')} graphs); the server compares each with "
        "PyTorch when it first switches to it.",
    )
    parser.add_argument("repo", help="a model in the store or on the Hub, such as santacoder/mini")
    parser.add_argument(
        "--revision", default="main", help="its branch; for a model of the Hub, any branch or commit (default: main)"
    )
    parser.add_argument(
        "--precision",
        nargs="+",
        choices=["auto", *PRECISIONS],
        default=["auto"],
        help="graphs to write; auto is int8, and bf16 with --device cuda (default: auto)",
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="device for the checks (default: cpu)")
    parser.add_argument(
        "--validation",
        nargs="+",
        type=user_path,
        default=[],
        metavar="FILE",
        help="source files for the checks (default: modules of the Python standard library)",
    )
    parser.add_argument(
        "--store",
        type=user_path,
        default=checkpoints.DEFAULT_STORE,
        help="folder of published models (default: %(default)s)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
