"""Build the attribution index, which finds generated code in the training data (santacoder/attribution)."""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import pyarrow.parquet as pq

from santacoder.atomic import replacing, sync_folder
from santacoder.attribution import build, index_file
from santacoder.attribution.build import SourceText
from santacoder.attribution.contents import USUAL, Contents, Origin, Parameters
from santacoder.attribution.shards import shard_folders
from santacoder.attribution.winnowing import WINDOW, guaranteed
from santacoder.errors import AttributionError, CheckpointError, UserError
from santacoder.paths import user_path
from train.data.local import LocalExecutor
from train.data.pack import load_packed
from train.data.packages import DEFAULT_MANIFEST, read_manifest
from train.data.pipeline import Executor
from train.data.source_file import SourceFile, read_shard

# maximum source bytes in one index: with a copy and while sorting, this fits one machine easily
MAX_SHARD_BYTES = 2_500_000_000
_BUILDING = ".building-"  # begins the name of the folder of an unfinished build
_NUMBERED = re.compile(r"[0-9]{5,}")  # the name of a subfolder with one of several indexes
EXAMPLES = """
examples:
  the files that a run's corpus was packed from, without those it holds out:
    python -m train.data index runs/final/data --out runs/final/attribution
  of a model that was trained twice, small enough to be shipped with it, without the text of the files:
    python -m train.data index runs/first/data runs/second/data --compact --window 64 --out x
"""


def main(arguments: list[str], executor: Executor | None = None) -> int:
    """Run the command. Returns 0 on success; exits with 1 if it had to stop, and with 2 for invalid arguments."""
    parser = _parser()
    args = parser.parse_args(arguments)
    try:
        built = build_index(
            [shard for folder in args.data for shard in packed_shards(folder)],
            args.out,
            with_text=not args.compact,
            parameters=Parameters(args.window, args.renamed),
            executor=executor,
        )
    except (UserError, AttributionError, CheckpointError) as error:
        parser.exit(2, f"{error}\n")
    except OSError as error:
        parser.exit(1, f"Stopped because a file cannot be read or written: {error}. Run the same command again.\n")
    except KeyboardInterrupt:
        parser.exit(1, "\nStopped.\n")
    size = sum((folder / "index.bin").stat().st_size for folder in shard_folders(args.out))
    n_bytes = sum(contents.n_bytes for contents in built)
    print(
        f"{sum(contents.n_files for contents in built):,} files, {n_bytes / 1e6:.1f} MB of source, in {args.out}: "
        f"index.bin has {size / 1e6:.1f} MB, {size / max(1, n_bytes):.1%}. "
        f"Every run of {guaranteed(args.window)} tokens is found."
    )
    return 0


@dataclass(frozen=True)
class Shard:
    """A shard of files to index: those in ``path``, except for the packages and files in ``held_out``."""

    path: Path
    held_out: frozenset[str] = frozenset()


def packed_shards(folder: Path) -> list[Shard]:
    """The training shards of a packed folder.

    Raises:
        UserError: the folder is not a packed one, or its shards no longer exist.
    """
    data = load_packed(folder)
    held_out = frozenset(package.name for package in data.packages if package.split == "validation")
    shards = [Shard(path, held_out) for path in sorted(data.shards.glob("*.parquet"))]
    if not shards:
        raise UserError(
            f"{folder} was packed from {data.shards.resolve()}, which no longer contains shards: pack it again."
        )
    return shards


def build_index(
    shards: Sequence[Shard],
    output: Path,
    *,
    with_text: bool = True,
    parameters: Parameters = USUAL,
    executor: Executor | None = None,
    max_bytes: int = MAX_SHARD_BYTES,
) -> list[Contents]:
    """Write an index of the files in ``shards`` into ``output``, or several into its subfolders if the files exceed
    ``max_bytes``.

    An earlier index in ``output`` stays in use until the new one is complete, so the disk needs room for both.

    Args:
        shards: the shards to index.
        output: folder of the index.
        with_text: also write the source text, with which matches are extended and confirmed.
        parameters: fingerprint parameters.
        executor: runs the work; by default, this machine's cores.
        max_bytes: maximum source bytes in one index.

    Raises:
        AttributionError: the files are too large for one index.
        OSError: the disk is full. An index and a text that do not match are detected when queried.
    """
    groups = _groups(shards, max_bytes)
    executor = executor or LocalExecutor()
    for left in output.glob(f"{_BUILDING}*"):  # by a build that was killed
        shutil.rmtree(left, ignore_errors=True)
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output, prefix=_BUILDING) as building:
        built = [Path(building) / f"{number:05d}" for number in range(len(groups))]
        contents = [
            _build_one(group, folder, with_text, executor, parameters)
            for group, folder in zip(groups, built, strict=True)
        ]
        _take_into_use(built, output)
    return contents


def index_shard(task: tuple[Shard, Path | None], parameters: Parameters) -> build.Part:
    """Index one shard, and write its text to the path in ``task``, if any."""
    shard, text = task
    sources = _with_registries(
        file for file in read_shard(shard.path) if shard.held_out.isdisjoint((file.package, file.name))
    )
    if text is None:
        return build.index_part(sources, None, parameters)
    with text.open("wb") as out:
        return build.index_part(sources, out, parameters)


def _build_one(
    shards: Sequence[Shard], folder: Path, with_text: bool, executor: Executor, parameters: Parameters
) -> Contents:
    folder.mkdir()
    texts = [folder / str(number) for number in range(len(shards))]
    tasks = [(shard, text if with_text else None) for shard, text in zip(shards, texts, strict=True)]
    contents = build.merge(executor.map(partial(index_shard, parameters=parameters), tasks, "indexing"), parameters)
    if with_text:
        _join(texts, folder / "text.bin")
    index_file.write(folder / "index.bin", contents)
    return contents


def _take_into_use(built: Sequence[Path], output: Path) -> None:
    """Move the new indexes to ``output``, and delete those of an earlier build that they do not replace.

    An ``index.bin`` in ``output`` hides those in subfolders, so an old one there is deleted last. Subfolders that are
    not named by number are not ours.
    """
    targets = [output] if len(built) == 1 else [output / folder.name for folder in built]
    for folder, target in zip(built, targets, strict=True):
        target.mkdir(exist_ok=True)
        _move(folder, target)
    sync_folder(output)
    numbered = [folder for folder in output.iterdir() if _NUMBERED.fullmatch(folder.name) and folder.is_dir()]
    for folder in (*numbered, output):
        if folder not in targets:
            _delete(folder)


def _move(folder: Path, target: Path) -> None:
    """Move an index. If this is interrupted, its two files do not match, which is detected when they are queried."""
    has_text = (folder / "text.bin").exists()
    if has_text:
        (folder / "text.bin").replace(target / "text.bin")
    (folder / "index.bin").replace(target / "index.bin")
    if not has_text:
        (target / "text.bin").unlink(missing_ok=True)
    sync_folder(target)


def _delete(folder: Path) -> None:
    for name in ("index.bin", "text.bin"):
        (folder / name).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def _groups(shards: Sequence[Shard], max_bytes: int) -> list[list[Shard]]:
    """Group consecutive ``shards`` so that each group has at most ``max_bytes`` of source."""
    groups: list[list[Shard]] = []
    room = 0
    for shard in shards:
        size = source_bytes(shard.path)
        if not groups or size > room:
            groups.append([])
            room = max_bytes
        groups[-1].append(shard)
        room -= size
    return groups


def source_bytes(shard: Path) -> int:
    """The approximate source bytes in a shard."""
    metadata = pq.read_metadata(shard)
    text = metadata.schema.names.index("text")
    return sum(
        metadata.row_group(number).column(text).total_uncompressed_size for number in range(metadata.num_row_groups)
    )


def _with_registries(files: Iterator[SourceFile]) -> Iterator[SourceText]:
    """Add to each of ``files`` the registry that it can be found in, if known."""
    registries = _registries()
    for file in files:
        registry = registries.get((file.package, file.version), "")
        if file.package.startswith("stdlib/"):
            registry = "cpython"
        origin = Origin(file.package, file.version, file.licence, file.language, registry)
        yield SourceText(origin, file.path, file.text)


@lru_cache
def _registries() -> dict[tuple[str, str], str]:
    """The registry of each package in the package corpus, by name and version."""
    return {(package.name, package.version): package.registry for package in read_manifest(DEFAULT_MANIFEST)}


def _join(pieces: Sequence[Path], path: Path) -> None:
    with replacing(path) as out:
        for piece in pieces:
            with piece.open("rb") as text:
                shutil.copyfileobj(text, out, 2**20)
            piece.unlink()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m train.data index",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "data",
        nargs="+",
        type=user_path,
        help="folder written by python -m train.data; its training files are indexed, held-out packages are not",
    )
    parser.add_argument("--out", type=user_path, required=True, help="output folder, for index.bin and text.bin")
    parser.add_argument(
        "--compact",
        action="store_true",
        help="omit text.bin: matches are found, but not extended or confirmed",
    )
    parser.add_argument(
        "--window",
        type=_window,
        default=WINDOW,
        help="one fingerprint per window of this many: a larger window makes a smaller index that finds longer runs "
        "(default: %(default)s)",
    )
    parser.add_argument("--renamed", action="store_true", help="also find copies with renamed identifiers")
    return parser


def _window(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 1000")
    return int(text)
