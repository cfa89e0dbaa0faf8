"""Copy the published part of mini's long run into a store, so that a new working folder continues it."""

from __future__ import annotations

import argparse
import sys

from santacoder import checkpoints
from santacoder.checkpoints.publishing import copy_branch
from santacoder.checkpoints.store import read_ref, repo_folder
from santacoder.paths import user_path
from train.embedded.recipe import MINI, PRETRAINING


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m train.embedded.begin", description=__doc__)
    parser.add_argument("store", type=user_path, help="store that the run publishes to (runs/embedded/store)")
    parser.add_argument(
        "--from",
        dest="source",
        type=user_path,
        default=checkpoints.DEFAULT_STORE,
        help="store to copy from (default: checkpoints/)",
    )
    args = parser.parse_args(arguments)
    if read_ref(repo_folder(MINI, args.store), PRETRAINING):
        print(f"{args.store} already has {MINI}@{PRETRAINING}.")
    elif read_ref(repo_folder(MINI, args.source), PRETRAINING):
        sha = copy_branch(MINI, PRETRAINING, args.source, args.store)
        print(f"The run continues from {MINI}@{sha}.")
    else:
        print(f"{args.source} has no {MINI}@{PRETRAINING}: the run begins from scratch.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
