"""Write a packed folder into one compressed file, for a machine without the corpus.

    python -m train.embedded.carried OUT/data/mini --simple OUT/data/mini-simple carried.zip --megabytes 55

The file has the tokenizer, the tokens of whole packages, drawn at random until it is as large as it may be, those of
the held-out packages, and for each document where it begins, its language, and whether it is also in the folder
``--simple``. Reading it needs neither Parquet nor the parsers.
"""

from __future__ import annotations

import argparse
import json
import lzma
import sys
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from santacoder.errors import UserError
from santacoder.paths import user_path
from santacoder.tokenizer import Tokenizer
from train.data.pack import Documents, PackedData, load_packed

_COMPRESSION = zipfile.ZIP_LZMA
_CHUNK_BYTES = 1 << 20
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
    try:
        print(write(args.packed, args.simple, args.file, int(args.megabytes * 1e6)))
    except (UserError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def write(packed: Path, simple: Path | None, file: Path, most_bytes: int) -> str:
    """Write ``file``. Returns a sentence for the user.

    Raises:
        UserError: one of the folders holds no packed data, or the file would have no training files.
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
    with zipfile.ZipFile(file, "w", _COMPRESSION) as archive:
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


def read(file: Path, folder: Path) -> Carried:
    """Read a file of :func:`write`; the tokenizer is kept in ``folder``.

    Raises:
        UserError: the file is damaged, or not such a file.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            manifest = json.loads(archive.read("manifest.json"))
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "tokenizer.json").write_bytes(archive.read("tokenizer.json"))
            train, validation = (
                np.frombuffer(archive.read(name), dtype=manifest["dtype"]) for name in ("train", "validation")
            )
            lengths = np.frombuffer(archive.read("lengths"), dtype="<u4")
            codes, simple = (np.frombuffer(archive.read(name), dtype="<u1") for name in ("codes", "simple"))
    except (zipfile.BadZipFile, lzma.LZMAError, KeyError, ValueError, EOFError) as error:
        raise UserError(f"{file} was not written by python -m train.embedded.carried, or is damaged.") from error
    starts = np.cumsum([0, *lengths[:-1]], dtype=np.int64)
    data = PackedData(Tokenizer.load(folder / "tokenizer.json"), train, validation, (), folder, folder)
    return Carried(data, Documents(starts, codes.astype(np.int8), tuple(manifest["languages"])), simple.astype(bool))


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
