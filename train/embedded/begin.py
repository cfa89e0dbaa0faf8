"""Copy the published part of mini's long run into a store, so that a new working folder continues it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from santacoder import checkpoints
from santacoder.checkpoints.publishing import copy_branch
from santacoder.checkpoints.store import read_ref, repo_folder
from santacoder.errors import CheckpointError
from santacoder.paths import user_path
from train.embedded.recipe import MINI, PRETRAINING, UNFINISHED


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Returns 0 on success, 1 if the published part cannot be copied."""
    parser = argparse.ArgumentParser(prog="python -m train.embedded.begin", description=__doc__)
    parser.add_argument("store", type=user_path, help="store that the run publishes to (runs/embedded/store)")
    parser.add_argument(
        "--from",
        dest="source",
        type=user_path,
        default=checkpoints.DEFAULT_STORE / UNFINISHED,
        help="store to copy from (default: checkpoints/unfinished)",
    )
    args = parser.parse_args(arguments)
    try:
        print(_begin(args.source, args.store))
    except (CheckpointError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _begin(source: Path, store: Path) -> str:
    """Copy the branch if only ``source`` has it. Returns a sentence for the user."""
    if read_ref(repo_folder(MINI, store), PRETRAINING) is not None:
        return f"{store} already has {MINI}@{PRETRAINING}."
    if read_ref(repo_folder(MINI, source), PRETRAINING) is None:
        return f"{source} has no {MINI}@{PRETRAINING}: the run begins from scratch."
    return f"The run continues from {MINI}@{copy_branch(MINI, PRETRAINING, source, store)}."


if __name__ == "__main__":
    sys.exit(main())
