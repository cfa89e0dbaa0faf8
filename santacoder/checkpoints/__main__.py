"""``python -m santacoder.checkpoints push``: upload a branch of the store to the Hub; ``graphs``: what is cached."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from santacoder.checkpoints.graph_cache import CachedGraph, cached_graphs, default_folder, drop
from santacoder.checkpoints.push import push
from santacoder.checkpoints.store import DEFAULT_STORE
from santacoder.errors import CheckpointError
from santacoder.paths import command_name, user_path


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Returns 0 on success, 1 if the Hub or the store reported an error."""
    parser = argparse.ArgumentParser(prog=command_name("checkpoints", "python -m santacoder.checkpoints"))
    commands = parser.add_subparsers(required=True, dest="command")
    upload = commands.add_parser(
        "push",
        help="upload a branch with its commits to the Hub",
        description="Upload a branch with its commits to the Hub, oldest first. An interrupted upload continues.",
    )
    upload.add_argument("--repo", required=True, help="model in the store, such as santacoder/nano")
    upload.add_argument("--revision", default="main", help="branch to upload (default: main)")
    upload.add_argument("--to", help="repository on the Hub (default: the same name)")
    upload.add_argument(
        "--store", type=user_path, default=DEFAULT_STORE, help="folder of published models (default: %(default)s)"
    )
    listing = commands.add_parser(
        "graphs",
        help="list or drop the graphs of the Hub's models in the user's cache",
        description="List the graphs that were written for models of the Hub, or drop some.",
    )
    listing.add_argument(
        "--drop", nargs="+", default=[], metavar="COMMIT", help="drop those of a commit; 'all' drops all"
    )
    listing.add_argument(
        "--folder", type=user_path, default=default_folder(), help="folder of the graphs (default: %(default)s)"
    )
    args = parser.parse_args(arguments)
    try:
        if args.command == "graphs":
            _graphs(args.folder, args.drop)
            return 0
        push(args.repo, args.revision, args.to or args.repo, store=args.store)
    except CheckpointError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _graphs(folder: Path, dropped: Sequence[str]) -> None:
    """Drop the graphs of commits that begin with one of ``dropped``, or all, and list what is left.

    Raises:
        CheckpointError: no commit begins with it.
    """
    for beginning in dropped:
        found = [graph for graph in cached_graphs(folder) if beginning == "all" or graph.sha.startswith(beginning)]
        if not found and beginning != "all":
            raise CheckpointError(f"There is no graph of a commit {beginning!r} in {folder}.")
        for graph in found:
            drop(graph)
            print(f"dropped {_line(graph)}")
    left = cached_graphs(folder)
    for graph in left:
        print(_line(graph))
    print(f"{len(left)} graphs, {sum(graph.n_bytes for graph in left) / 1e9:.2f} GB, in {folder}")


def _line(graph: CachedGraph) -> str:
    used = datetime.fromtimestamp(graph.used).isoformat(sep=" ", timespec="minutes")
    return f"{graph.repo_id}@{graph.sha[:10]}  {graph.file.name}  {graph.n_bytes / 1e9:.2f} GB  used {used}"


if __name__ == "__main__":
    sys.exit(main())
