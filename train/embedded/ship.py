"""Copy the embedded models and their indexes into the store that the playground serves."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from santacoder import checkpoints
from santacoder.checkpoints.publishing import copy_branch
from santacoder.errors import CheckpointError
from santacoder.paths import user_path
from train.embedded.recipe import MINI, NANO, PRETRAINING, UNFINISHED, nano_runs

# so that the repository stays below 200 MB
_COMMITS_OF_PRETRAINING, _COMMITS_OF_MINI = 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Returns 0 on success, 1 if something cannot be copied."""
    parser = argparse.ArgumentParser(prog="python -m train.embedded.ship", description=__doc__)
    parser.add_argument("store", type=user_path, help="store of the trained models (runs/embedded/store)")
    parser.add_argument(
        "--to", type=user_path, default=checkpoints.DEFAULT_STORE, help="destination store (default: checkpoints/)"
    )
    args = parser.parse_args(arguments)
    try:
        _ship(args.store, args.to)
    except (CheckpointError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _ship(store: Path, target: Path) -> None:
    """Copy the branches that are shipped, and the indexes.

    Raises:
        CheckpointError: the files of a branch are missing or damaged.
        OSError: the disk is full.
    """
    shipped: list[tuple[str, str, Path, int | None]] = [
        *((NANO, run.branch, target, None) for run in nano_runs() if run.seed == 0),
        (MINI, PRETRAINING, target / UNFINISHED, _COMMITS_OF_PRETRAINING),
        (MINI, "main", target, _COMMITS_OF_MINI),
    ]
    for repo, branch, to, n_commits in shipped:
        if checkpoints.has_repository(store, repo) and branch in checkpoints.branches(repo, store=store):
            sha = copy_branch(repo, branch, store, to, n_commits=n_commits)
            print(f"{repo}@{branch} is now {sha}")
    for index in store.glob("attribution--*"):
        shutil.copytree(index, target / index.name, dirs_exist_ok=True)


if __name__ == "__main__":
    sys.exit(main())
