"""Write a packed folder into one compressed file, for a machine without the corpus.

    python -m train.embedded.carried OUT/data/mini --simple OUT/data/mini-simple carried.zip --megabytes 55

The file has the tokenizer, the tokens of whole packages, drawn at random until it is as large as it may be, those of
the held-out packages, and for each document where it begins, its language, and whether it is also in the folder
``--simple``. Reading it needs neither Parquet nor the parsers.
"""

from __future__ import annotations

import argparse
import json
import math
import struct
import sys
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from santacoder.atomic import replacing
from santacoder.errors import CheckpointError, UserError, as_sentence
from santacoder.languages import LANGUAGES
from santacoder.paths import user_path
from santacoder.tokenizer import Tokenizer
from train.data.archives import BROKEN
from train.data.pack import Documents, PackedData, load_packed

_COMPRESSION = zipfile.ZIP_LZMA
_CHUNK_BYTES = 1 << 20
_DTYPES = ("<u2", "<u4")  # of packed tokens
# for what follows the training tokens
_RESERVE = 0.04


@dataclass(frozen=True)
class Carried:
    """What training needs of a packed folder. ``simple`` [N] bool tells which of ``documents`` are simple."""

    data: PackedData
    documents: Documents
    simple: np.ndarray

    def only_simple(self) -> tuple[np.ndarray, Documents]:
        """The tokens and documents of the simple files alone."""
        ends = np.append(self.documents.starts[1:], len(self.data.train))
        parts = [self.data.train[self.documents.starts[row] : ends[row]] for row in np.flatnonzero(self.simple)]
        starts = np.cumsum([0, *map(len, parts[:-1])])
        codes = self.documents.codes[self.simple]
        return np.concatenate(parts), Documents(starts, codes, self.documents.languages)


def main(arguments: list[str] | None = None) -> int:
    """Run the command. Returns 0 on success, 2 if the file cannot be written."""
    parser = argparse.ArgumentParser(
        prog="python -m train.embedded.carried", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("packed", type=user_path, help="packed folder")
    parser.add_argument("file", type=user_path, help="file to write")
    parser.add_argument("--simple", type=user_path, help="packed folder with the simple files among them")
    parser.add_argument("--megabytes", type=float, default=55, help="size of the file at most (default: 55)")
    args = parser.parse_args(arguments)
    if not 0 < args.megabytes < math.inf:
        parser.error(f"--megabytes must be a number above 0, not {args.megabytes:g}")
    try:
        print(write(args.packed, args.simple, args.file, int(args.megabytes * 1e6)))
    except (UserError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def write(packed: Path, simple: Path | None, file: Path, most_bytes: int) -> str:
    """Write ``file``; if that fails, an existing one is unchanged. Returns a sentence for the user.

    Raises:
        UserError: one of the folders holds no packed data, or the file would have no training files.
        OSError: the disk is full.
    """
    import pyarrow.parquet as pq

    data = load_packed(packed)
    columns = ["package", "path", "language", "start", "length"]
    rows = pq.read_table(packed / "documents.parquet", columns=columns, filters=[("split", "=", "train")]).to_pylist()
    names = set()
    if simple is not None:
        load_packed(simple)
        table = pq.read_table(simple / "documents.parquet", columns=["package", "path"])
        names = {(row["package"], row["path"]) for row in table.to_pylist()}
    packages = sorted({row["package"] for row in rows})
    place = dict(zip(packages, np.random.default_rng(0).permutation(len(packages)), strict=True))
    rows.sort(key=lambda row: place[row["package"]])
    with replacing(file) as target, zipfile.ZipFile(target, "w", _COMPRESSION) as archive:
        archive.writestr("tokenizer.json", (packed / "tokenizer.json").read_bytes())
        _write_array(archive, "validation", data.validation)
        n_rows = _write_train(archive, data, rows, int((1 - _RESERVE) * most_bytes))
        if not n_rows:
            raise UserError(f"{most_bytes / 1e6:g} MB leave no room for training files; allow more (--megabytes).")
        kept = rows[:n_rows]
        languages = sorted({row["language"] for row in kept})
        _write_array(archive, "lengths", np.array([row["length"] for row in kept], dtype="<u4"))
        _write_array(archive, "codes", np.array([languages.index(row["language"]) for row in kept], dtype="<u1"))
        is_simple = [(row["package"], row["path"]) in names for row in kept]
        _write_array(archive, "simple", np.array(is_simple, dtype="<u1"))
        used = {row["package"] for row in kept}
        described = [asdict(package) for package in data.packages if package.name in used or package.split != "train"]
        manifest = {"dtype": data.train.dtype.str, "languages": languages, "packages": described}
        archive.writestr("manifest.json", json.dumps(manifest))
    n_tokens = sum(row["length"] for row in kept)
    return (
        f"{file} has {n_tokens / 1e6:.1f} M of {len(data.train) / 1e6:.1f} M tokens, {len(used)} of {len(packages)} "
        f"packages, {sum(is_simple)} of {n_rows} files simple, in {file.stat().st_size / 1e6:.1f} MB."
    )


def read(file: Path) -> Carried:
    """Read a file of :func:`write`.

    Raises:
        UserError: the file is damaged, or not such a file.
        OSError: it cannot be read.
    """
    with file.open("rb") as content:
        try:
            with zipfile.ZipFile(content) as archive:
                return _carried(archive, file)
        # damaged headers make zipfile read before the file's beginning, or believe in encryption or another method
        except (*BROKEN, struct.error, OSError, OverflowError, KeyError, TypeError, CheckpointError) as error:
            raise UserError(
                f"{file} was not written by python -m train.embedded.carried, or is damaged: {as_sentence(error)}"
            ) from error


def _carried(archive: zipfile.ZipFile, file: Path) -> Carried:
    manifest = json.loads(archive.read("manifest.json"))
    dtype, languages = manifest["dtype"], tuple(manifest["languages"])
    with TemporaryDirectory() as folder:
        path = Path(folder, "tokenizer.json")
        path.write_bytes(archive.read(path.name))
        tokenizer = Tokenizer.load(path)
    _require(dtype in _DTYPES, f"its tokens are of the type {dtype}")
    _require(set(languages) <= set(LANGUAGES), f"its languages are {languages}")
    train, validation = (np.frombuffer(archive.read(name), dtype=dtype) for name in ("train", "validation"))
    lengths = np.frombuffer(archive.read("lengths"), dtype="<u4").astype(np.int64)
    codes, simple = (np.frombuffer(archive.read(name), dtype="<u1") for name in ("codes", "simple"))
    _require(len(lengths) > 0 and lengths.min() > 0 and lengths.sum() == len(train), "its documents are not its tokens")
    _require(len(codes) == len(simple) == len(lengths), "it does not describe each document")
    _require(codes.max() < len(languages), f"it names {len(languages)} languages, but its documents have more")
    _require(len(validation) > 1, "it has no held-out tokens")
    largest, n_known = max(train.max(), validation.max()), tokenizer.vocab_size
    _require(largest < n_known, f"it has the token {largest}, but its vocabulary only {n_known}")
    starts = np.cumsum([0, *lengths[:-1]], dtype=np.int64)
    data = PackedData(tokenizer, train, validation, (), file, file)
    return Carried(data, Documents(starts, codes.astype(np.int8), languages), simple.astype(bool))


def _require(holds: bool | np.bool_, problem: str) -> None:
    if not holds:
        raise UserError(problem)


def _write_train(archive: zipfile.ZipFile, data: PackedData, rows: list[dict[str, int]], most_bytes: int) -> int:
    """Write the tokens of the first packages of ``rows``. Returns the number of their documents.

    The compressor holds some megabytes back, so a package is known to be too much only after it; the file may become
    larger than ``most_bytes`` by what it then writes.
    """
    with archive.open("train", "w", force_zip64=True) as member:
        for number, row in enumerate(rows):
            is_new = number == 0 or row["package"] != rows[number - 1]["package"]
            if is_new and archive.fp is not None and archive.fp.tell() > most_bytes:
                return number
            member.write(np.ascontiguousarray(data.train[row["start"] : row["start"] + row["length"]]).tobytes())
    return len(rows)


def _write_array(archive: zipfile.ZipFile, name: str, values: np.ndarray) -> None:
    with archive.open(name, "w") as member:
        content = values.tobytes()
        for start in range(0, len(content), _CHUNK_BYTES):
            member.write(content[start : start + _CHUNK_BYTES])


if __name__ == "__main__":
    sys.exit(main())
