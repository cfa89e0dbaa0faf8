"""Build the index with which generated code is looked up in the training data (santacoder/attribution).

A module of its own beside ``python -m train.data``, because it reads what that wrote and shares none of its options.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

from santacoder.atomic import replacing
from santacoder.attribution import build, index_file
from santacoder.errors import AttributionError
from train.data.local import LocalExecutor
from train.data.pack import load_packed
from train.data.source_file import read_shard

EXAMPLES = """
example: the files that a run's corpus was packed from, without those it holds out:
  python -m train.data.index runs/final/data/work/5-dedup-alt-* --data runs/final/data --out runs/final/attribution
"""


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when done, 1 where it had to stop, 2 for arguments that cannot be used."""
    parser = _parser()
    args = parser.parse_args(arguments)
    try:
        shards = sorted(args.shards.glob("*.parquet"))
        if not shards:
            raise ValueError(f"{args.shards} holds no shards (*.parquet); name one of the folders in OUT/work.")
        contents = build_index(shards, args.out, held_out=_held_out(args.data), with_text=not args.compact)
    except (ValueError, AttributionError) as error:
        parser.exit(2, f"{error}\n")
    except OSError as error:
        parser.exit(1, f"Stopped, because writing failed: {error}. Make room and run the same command again.\n")
    except KeyboardInterrupt:
        parser.exit(1, "\nStopped.\n")
    size = (args.out / "index.bin").stat().st_size
    print(
        f"{contents.n_files:,} files, {contents.n_bytes / 1e6:.1f} MB of source, in {args.out}/index.bin: "
        f"{size / 1e6:.1f} MB, {size / max(1, contents.n_bytes):.1%}."
    )
    return 0


def build_index(
    shards: list[Path], output: Path, *, held_out: frozenset[str] = frozenset(), with_text: bool = True
) -> index_file.Contents:
    """Write an index of the files in ``shards``, but for those of the packages ``held_out``.

    Raises:
        AttributionError: they are too large for one index.
        OSError: the disk is full. An index beside the text of another says so when it is asked.
    """
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output, prefix=".building-") as folder:
        task = partial(index_shard, held_out=held_out, texts=Path(folder) if with_text else None)
        contents = build.merge(LocalExecutor().map(task, shards, "indexing"))
        if with_text:
            _join([Path(folder) / shard.name for shard in shards], output / "text.bin")
    index_file.write(output / "index.bin", contents)
    if not with_text:
        (output / "text.bin").unlink(missing_ok=True)
    return contents


def index_shard(shard: Path, held_out: frozenset[str], texts: Path | None) -> build.Part:
    """The part of the index that ``shard`` makes, whose text is written into the folder ``texts``."""
    files = [file for file in read_shard(shard) if file.package not in held_out]
    if texts is None:
        return build.index_part(files, None)
    with (texts / shard.name).open("wb") as out:
        return build.index_part(files, out)


def _join(pieces: list[Path], path: Path) -> None:
    with replacing(path) as out:
        for piece in pieces:
            with piece.open("rb") as text:
                shutil.copyfileobj(text, out, 2**20)
            piece.unlink()


def _held_out(data: Path | None) -> frozenset[str]:
    if data is None:
        return frozenset()
    return frozenset(package.name for package in load_packed(data).packages if package.split == "validation")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m train.data.index",
        description=(__doc__ or "").split("\n")[0],
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shards", type=Path, help="a folder of Parquet shards, the last step of python -m train.data")
    parser.add_argument("--data", type=Path, help="the packed folder, to leave out the packages that it holds out")
    parser.add_argument("--out", type=Path, required=True, help="folder for index.bin and text.bin")
    parser.add_argument(
        "--compact",
        action="store_true",
        help="without text.bin: matches are then found but neither widened nor confirmed",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
