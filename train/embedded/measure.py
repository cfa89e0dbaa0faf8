"""Evaluate a branch and publish the scores: bits per byte, infilling in both orders, function bodies, repetition.

All benchmarks run in one process: for a model of this size, starting Python takes as long as the evaluation.
"""

from __future__ import annotations

import argparse
import sys

from santacoder.paths import user_path
from train.evaluate.__main__ import main as evaluate


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks. Returns the first exit code that is not 0, or 0."""
    args = _parser().parse_args(arguments)
    of_branch = [args.repo, "--revision", args.branch, "--store", str(args.store)]
    results = ["--output", str(args.output)]
    written = [*of_branch, *results, "--device", args.device, "--runner", "auto"]
    tasks = ["--tasks", args.tasks] if args.tasks else []
    commands = [
        ["bits-per-byte", *of_branch, *results, "--data", args.held_out, "--limit", args.megabytes],
        ["infilling", *written, *tasks],
        ["bodies", *written, "--held-out", args.held_out],
        ["repetition", *written],
    ]
    commands.append(["publish", args.repo, str(args.output), "--branch", args.branch, "--store", str(args.store)])
    return next((code for command in commands if (code := evaluate(command))), 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m train.embedded.measure", description=__doc__)
    parser.add_argument("repo", help="model in the store, such as santacoder/mini")
    parser.add_argument("branch")
    parser.add_argument("--store", type=user_path, required=True)
    parser.add_argument("--held-out", required=True, metavar="PACKED", help="packed data whose held-out files are used")
    parser.add_argument("--megabytes", default="1", help="megabytes of held-out files per language (default: 1)")
    parser.add_argument("--tasks", metavar="N", help="number of lines to fill in per language (default: all)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--output", type=user_path, required=True, help="folder of the results")
    return parser


if __name__ == "__main__":
    sys.exit(main())
