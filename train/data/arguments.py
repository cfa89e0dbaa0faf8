"""The command-line options that name sources, shared by ``python -m train`` and ``python -m train.data``."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from pathlib import Path

from santacoder.tokenizer import Tokenizer
from train.data import sources
from train.data.filters import keep_useful
from train.data.pack import pack


def add_source_arguments(group: argparse._ArgumentGroup) -> None:
    """Options for :func:`pack_sources`."""
    group.add_argument("--folder", type=Path, action="append", default=[], help="a folder with source code")
    group.add_argument("--standard-library", action="store_true", help="the standard library of this Python")
    group.add_argument(
        "--packages",
        type=Path,
        action="append",
        default=[],
        nargs="?",
        const=sources.environment(),
        metavar="DIR",
        help="permissively licensed packages installed in a site-packages folder (default: this environment's)",
    )
    group.add_argument(
        "--vocab-size", type=int, default=4096, help="tokens of the tokenizer that is trained (default: 4096)"
    )


def pack_sources(args: argparse.Namespace, output: Path, tokenizer: Tokenizer | None = None) -> None:
    """Filter, split and pack the sources that ``args`` name, with ``tokenizer`` or one trained on them.

    Raises:
        ValueError: none was named, a folder does not exist, or too little is left of them.
        OSError: the disk is full.
    """
    if not (args.folder or args.standard_library or args.packages):
        raise ValueError("Name what to train on: --folder, --standard-library, --packages or --data.")
    for folder in [*args.folder, *args.packages]:
        if not folder.is_dir():
            raise ValueError(f"{folder} is not a folder.")
    parts: list[Iterator[sources.SourceFile]] = [sources.folder(folder) for folder in args.folder]
    if args.standard_library:
        parts.append(sources.standard_library())
    parts.extend(sources.installed_packages(folder) for folder in args.packages)
    files = keep_useful(itertools.chain.from_iterable(parts))
    pack(files, output, vocab_size=args.vocab_size, tokenizer=tokenizer)
