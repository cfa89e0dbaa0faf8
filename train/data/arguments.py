"""The command-line options that name sources, shared by ``python -m train`` and ``python -m train.data``."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from santacoder.errors import UserError
from santacoder.experiments import EXPERIMENTS
from santacoder.paths import user_path
from santacoder.tokenizer import SPECIAL_TOKENS, Tokenizer
from santacoder.tokenizer_file import MAX_TOKENS
from train.data import hub, sources
from train.data.local import LocalExecutor
from train.data.pack import pack
from train.data.packages import DEFAULT_MANIFEST, download, read_manifest
from train.data.pipeline import Executor, Pipeline, Step
from train.data.report import write_report
from train.data.source_file import LANGUAGES, Removed
from train.data.tables import ENDINGS, table_files
from train.variants import variant


def add_source_arguments(group: argparse._ArgumentGroup) -> None:
    """Options for :func:`pack_sources`."""
    group.add_argument(
        "--folder",
        type=user_path,
        action="append",
        default=[],
        help="a folder of source code, or a table as for --dataset",
    )
    group.add_argument("--standard-library", action="store_true", help="the standard library of this Python")
    group.add_argument(
        "--packages",
        type=user_path,
        action="append",
        default=[],
        nargs="?",
        const=sources.environment(),
        metavar="DIR",
        help="the permissively licensed packages in a site-packages folder (default: that of this environment)",
    )
    group.add_argument(
        "--download",
        type=user_path,
        action="append",
        default=[],
        nargs="?",
        const=DEFAULT_MANIFEST,
        metavar="YAML",
        help="packages of a manifest, downloaded from PyPI, npm and Debian (default: %(const)s)",
    )
    group.add_argument(
        "--downloads",
        type=user_path,
        default=Path("corpus"),
        help="folder for downloaded packages (default: %(default)s)",
    )
    group.add_argument(
        "--dataset",
        action="append",
        default=[],
        metavar="NAME[:DIR]",
        help="a Hugging Face dataset with the columns of The Stack, or your own file or folder of files in Parquet or "
        "JSON lines, with the column content",
    )
    group.add_argument(
        "--language",
        choices=sorted(set(LANGUAGES.values())),
        help="language of rows that have neither a lang column nor a path with a known extension",
    )
    group.add_argument(
        "--opt-out", type=user_path, help="a file of package or repository names to exclude, one per line"
    )
    group.add_argument(
        "--sample", type=share, default=1.0, metavar="SHARE", help="use this fraction of the files (default: all)"
    )
    group.add_argument(
        "--simple",
        action="store_true",
        help="keep only files that suit a small model: short functions, common words, few literals, no tables of data",
    )
    group.add_argument(
        "--count-layout",
        action="store_true",
        help="in dedup-alt, include the empty tokens between separators in 5-grams, as the original does",
    )
    group.add_argument(
        "--variant",
        choices=["main", *EXPERIMENTS],
        help="a published branch; it sets the filters and, for training, attention and objective "
        "(default: the filters of fim)",
    )
    group.add_argument(
        "--vocab-size",
        type=vocabulary_size,
        default=4096,
        help="vocabulary size of the trained tokenizer (default: %(default)s)",
    )
    group.add_argument("--tokenizer", type=user_path, help="a tokenizer.json to use instead of training one")
    held_out = group.add_mutually_exclusive_group()
    held_out.add_argument(
        "--hold-out-files",
        action="store_true",
        help="hold out single files instead of packages: at most a tenth of the bytes and 100 kB, chosen by name hash",
    )
    held_out.add_argument(
        "--hold-out",
        nargs="+",
        metavar="PACKAGE",
        help="packages to hold out for validation (default: 1.5 %% of the bytes of each language, chosen by name hash)",
    )


def share(text: str) -> float:
    """Parse a fraction.

    Raises:
        argparse.ArgumentTypeError: the text is not a number above 0 and up to 1.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"the fraction must be above 0 and at most 1, not {text}")
    return value


def vocabulary_size(text: str) -> int:
    """Parse a number of tokens without the special ones.

    Raises:
        argparse.ArgumentTypeError: the text is not a number from 256, the single bytes, to what a tokenizer may have.
    """
    most = MAX_TOKENS - len(SPECIAL_TOKENS)
    if not (text.isdecimal() and 256 <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"the vocabulary must have 256 to {most:,} tokens, not {text}")
    return int(text)


def pack_sources(
    args: argparse.Namespace,
    output: Path,
    *,
    work: Path | None = None,
    executor: Executor | None = None,
    tokenizer: Tokenizer | None = None,
) -> dict[str, Any]:
    """Download, filter, split and pack the sources of ``args``, and write a report, which is returned.

    Args:
        args: the parsed options of :func:`add_source_arguments`.
        output: folder for the packed data and the report.
        work: folder for intermediate results; by default, ``work`` in ``output``.
        executor: runs the work; by default, this machine's cores.
        tokenizer: used if ``args`` names none; without either, a tokenizer is trained on the sources.

    Raises:
        UserError: no source was named, one cannot be used, or too few files remain.
        OSError: the disk is full.
    """
    if args.tokenizer:
        tokenizer = Tokenizer.load(args.tokenizer)
    opt_out = _names(args.opt_out) if args.opt_out else frozenset()
    found, missing = _sources(args)
    if missing:
        first = missing[0]
        print(
            f"{len(missing):,} packages are missing, the first of them {first.package}: {first.reason}.",
            file=sys.stderr,
        )
    if not found:
        _require_enough([])
    work = work or output / "work"
    pipeline = Pipeline(found, work, executor or LocalExecutor(), opt_out, args.sample, args.simple, args.count_layout)
    name = args.variant or "fim"
    steps = pipeline.run(variant(name))
    _require_enough(steps)
    pack(
        steps[-1].shards,
        output,
        vocab_size=args.vocab_size,
        tokenizer=tokenizer,
        held_out=args.hold_out,
        by_file=args.hold_out_files,
    )
    return write_report(output, name, steps, missing)


def _sources(args: argparse.Namespace) -> tuple[list[sources.Source], list[Removed]]:
    """The sources of ``args``, and the packages that could not be downloaded."""
    if not (args.folder or args.standard_library or args.packages or args.download or args.dataset):
        raise UserError(
            "Name the training data: --folder, --standard-library, --packages, --download, --dataset or --data."
        )
    tables = [path for path in args.folder if path.is_file() and path.name.endswith(ENDINGS)]
    folders = [path for path in args.folder if path not in tables]
    for folder in [*folders, *args.packages]:
        if not folder.is_dir():
            raise UserError(f"{folder} is not a folder.")
    found = [source for folder in folders for source in sources.folder(folder)]
    if args.standard_library:
        found += sources.standard_library()
    for folder in args.packages:
        found += sources.installed_packages(folder)
    missing: list[Removed] = []
    for manifest in args.download:
        present, absent = download(read_manifest(manifest), args.downloads)
        found += sources.downloaded_packages(present, args.downloads)
        missing += absent
    for reference in args.dataset:
        path = user_path(reference)
        if path.exists():
            tables.append(path)
        elif reference.endswith(ENDINGS):
            raise UserError(f"{reference} cannot be opened: there is no such file.")
        else:
            found += hub.dataset(reference)
    found += [source for path in tables for source in table_files(path, args.language)]
    return list({source.name: source for source in found}.values()), missing


def _require_enough(steps: Sequence[Step]) -> None:
    """Check that enough files remain.

    Raises:
        UserError: too few files remain for training and validation; the message lists what was removed and why.
    """
    left = sum(files for files, _ in steps[-1].tally.kept.values()) if steps else 0
    if left >= 2:
        return
    removed: Counter[str] = Counter()
    for step in steps:
        removed.update({reason: files for reason, (files, _) in step.tally.removed.items()})
    reasons = ", ".join(f"{reason} ({files:,})" for reason, files in removed.most_common())
    raise UserError(
        f"Found {left} usable source file(s), but training needs at least two, one of them held out. "
        + (
            f"Removed files by reason: {reasons}."
            if reasons
            else "Name folders with .py, .java or .js files, or a table of files."
        )
    )


def _names(path: Path) -> frozenset[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The opt-out list {path} cannot be read: {error}.") from error
    return frozenset(line.strip().lower() for line in lines if line.strip() and not line.startswith("#"))
