"""``python -m santacoder.checkpoints push``: upload a branch of the store to the Hub."""

from __future__ import annotations

import argparse
import sys

from santacoder.checkpoints.push import push
from santacoder.checkpoints.store import DEFAULT_STORE
from santacoder.errors import CheckpointError
from santacoder.paths import command_name, user_path


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Returns 0 on success, 1 if the Hub or the store reported an error."""
    parser = argparse.ArgumentParser(prog=command_name("checkpoints", "python -m santacoder.checkpoints"))
    upload = parser.add_subparsers(required=True).add_parser("push", help="upload a branch with its commits to the Hub")
    upload.add_argument("--repo", required=True, help="model in the store, such as santacoder/nano")
    upload.add_argument("--revision", default="main", help="branch to upload (default: main)")
    upload.add_argument("--to", help="repository on the Hub (default: the same name)")
    upload.add_argument("--store", type=user_path, default=DEFAULT_STORE, help="folder of published models")
    args = parser.parse_args(arguments)
    try:
        push(args.repo, args.revision, args.to or args.repo, store=args.store)
    except CheckpointError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
