"""Evaluate a revision on benchmarks."""

from __future__ import annotations

from santacoder import pytorch

pytorch.require_for_command("evaluate", "python -m train.evaluate")

import sys

from santacoder import checkpoints
from santacoder.errors import AttributionError
from train.evaluate.arguments import build_parser
from train.evaluate.execution.programs.missing import MissingProgram
from train.evaluate.execution.sandbox import SandboxUnavailable
from train.evaluate.tasks.data import DataUnavailable


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Returns 0 on success, 2 if something cannot be used, 130 if interrupted."""
    args = build_parser(__doc__ or "").parse_args(arguments)
    problems = (ValueError, OSError, RuntimeError, checkpoints.CheckpointError, AttributionError)
    try:
        args.run(args)
    except (*problems, DataUnavailable, MissingProgram, SandboxUnavailable) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped. A benchmark's finished work is kept: the same command continues it.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
