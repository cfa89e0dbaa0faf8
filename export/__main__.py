"""Export a revision to ONNX graphs, check them against PyTorch, and publish them as a new commit on its branch."""

from __future__ import annotations

import argparse
import sys

from export.precisions import PRECISIONS
from export.publish import export
from santacoder import checkpoints
from santacoder.checkpoints import CheckpointError
from santacoder.paths import command_name, user_path


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Returns 0 if all graphs were published, 1 if one was rejected, 2 if nothing could be
    exported.
    """
    given = _parser().parse_args(arguments)
    try:
        refused = export(given.repo, given.revision, given.precision, given.device, given.validation, given.store)
    except (CheckpointError, OSError, UnicodeDecodeError) as error:
        print(error, file=sys.stderr)
        return 2
    for sentence in refused:
        print(sentence, file=sys.stderr)
    return 1 if refused else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=command_name("export", "python -m export"),
        description="Export a published revision to ONNX graphs, check them against PyTorch on real code, and publish "
        "those within tolerance as a new commit on its branch.",
    )
    parser.add_argument("repo", help="a model in the store, such as santacoder/mini")
    parser.add_argument("--revision", default="main", help="its branch (default: main)")
    parser.add_argument(
        "--precision", nargs="+", choices=list(PRECISIONS), default=["int8"], help="graphs to write (default: int8)"
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
