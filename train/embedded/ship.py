"""Copy the embedded models and their indexes into the store that the playground serves."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from santacoder import checkpoints
from santacoder.checkpoints.publishing import copy_branch
from santacoder.checkpoints.store import read_ref, repo_folder
from santacoder.errors import CheckpointError
from santacoder.paths import user_path
from train.embedded.recipe import MINI, NANO, PRETRAINING, nano_runs

# so that the repository stays below 200 MB
_COMMITS_OF_PRETRAINING, _COMMITS_OF_MINI = 1, 2
_CARD = "README.md"


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Returns 0 on success, 1 if something is missing or cannot be copied."""
    parser = argparse.ArgumentParser(prog="python -m train.embedded.ship", description=__doc__)
    parser.add_argument("store", type=user_path, help="store of the trained models (runs/embedded/store)")
    parser.add_argument(
        "--to", type=user_path, default=checkpoints.DEFAULT_STORE, help="destination store (default: checkpoints/)"
    )
    parser.add_argument("--only", choices=[NANO, MINI], help="one of the models (default: both)")
    args = parser.parse_args(arguments)
    try:
        _ship(args.store, args.to, [args.only] if args.only else [NANO, MINI])
    except (CheckpointError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _ship(store: Path, target: Path, repos: Sequence[str]) -> None:
    """Copy the shipped branches of ``repos``, and their indexes.

    Raises:
        CheckpointError: a branch is missing, or its files are missing or damaged.
        OSError: the disk is full.
    """
    shipped: list[tuple[str, str, int | None]] = [
        *((NANO, run.branch, None) for run in nano_runs() if run.seed == 0),
        (MINI, "main", _COMMITS_OF_MINI),
    ]
    # the mini that is trained by the clock has no such branch; the other one begins with it, and is copied after it
    if _has(store, MINI, PRETRAINING):
        shipped.insert(-1, (MINI, PRETRAINING, _COMMITS_OF_PRETRAINING))
    shipped = [(repo, branch, n_commits) for repo, branch, n_commits in shipped if repo in repos]
    if missing := [f"{repo}@{branch}" for repo, branch, _ in shipped if not _has(store, repo, branch)]:
        raise CheckpointError(
            f"{store} has no {', '.join(missing)}: train what is missing with python -m train.embedded, name the store "
            "of the trained models, or copy one of the models with --only."
        )
    for repo, branch, n_commits in shipped:
        sha = copy_branch(repo, branch, store, target, n_commits=n_commits)
        print(f"{repo}@{branch} is now {sha}")
        if (repo, branch) == (MINI, PRETRAINING):
            _rename_base(store, sha)
    for repo in repos:
        index = store / f"attribution--{repo.replace('/', '--')}"
        if index.is_dir():
            shutil.copytree(index, target / index.name, dirs_exist_ok=True)


def _has(store: Path, repo: str, branch: str) -> bool:
    return read_ref(repo_folder(repo, store), branch) is not None


def _rename_base(store: Path, copied: str) -> None:
    """Let the card of mini's main branch name the commit that it continues from by its sha in the target store, where a
    branch without its history has another one.
    """
    published = checkpoints.resolve(MINI, PRETRAINING, store=store).name
    card = checkpoints.resolve(MINI, store=store) / _CARD
    if card.is_file() and published in (text := card.read_text()) and published != copied:
        checkpoints.add_files(MINI, "main", {_CARD: text.replace(published, copied).encode()}, store=store)


if __name__ == "__main__":
    sys.exit(main())
