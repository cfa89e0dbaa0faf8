"""Packing of source files into tokens: a split by package, a tokenizer, memory-mapped token files and a manifest.

A packed folder contains ``tokenizer.json``, ``train.bin`` and ``validation.bin`` (documents joined by end-of-text,
little-endian unsigned integers), ``documents.parquet`` (split, first token, length and provenance of every document, in
order) and ``manifest.json`` (element type, folder of the shards, packages with their licences).
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from santacoder.atomic import replacing
from santacoder.errors import UserError
from santacoder.tokenizer import Tokenizer
from train.data.source_file import LANGUAGES, SourceFile, read_shard
from train.data.steps import tally

if TYPE_CHECKING:  # the server reads this module, too, and needs no Parquet
    import pyarrow as pa

VALIDATION_FRACTION = 0.015
# of a project of one's own, where whole folders would be too much to hold out
FILES_FRACTION, MOST_BYTES_OF_FILES = 0.1, 100_000
TOKENIZER_SAMPLE_BYTES = 40_000_000


@dataclass
class Package:
    """A package of the corpus. ``bytes`` are UTF-8; ``language`` is that of its first file."""

    name: str
    version: str
    licence: str
    files: int = 0
    bytes: int = 0
    split: str = "train"
    language: str = ""


@dataclass(frozen=True)
class Documents:
    """The documents of a split: ``starts`` are their first tokens, ascending, [N] int64; ``codes`` are their languages
    as indices into ``languages``, [N].
    """

    starts: np.ndarray
    codes: np.ndarray
    languages: tuple[str, ...]

    def at(self, token: int | np.ndarray) -> np.ndarray:
        """The index of the document that contains ``token``."""
        return np.searchsorted(self.starts, token, side="right") - 1

    def languages_from(self, token: int, count: int) -> list[str]:
        """The languages of the document that contains ``token`` and of the following ones, at most ``count``."""
        first = int(self.at(token))
        return [self.languages[code] for code in self.codes[first : first + count]]


@dataclass(frozen=True)
class PackedData:
    """An open packed folder, with one-dimensional token arrays on disk."""

    tokenizer: Tokenizer
    train: np.ndarray
    validation: np.ndarray
    packages: Sequence[Package]
    shards: Path
    """The folder of the shards that the data was packed from, which may no longer exist."""
    folder: Path

    def documents(self) -> Documents:
        """The documents of the training split.

        Raises:
            UserError: the folder has no table of documents, because an older version packed it.
        """
        import pyarrow.parquet as pq

        path = self.folder / "documents.parquet"
        if not path.is_file():
            raise UserError(f"{self.folder} has no table of its documents' languages; pack the data again.")
        table = pq.read_table(path, columns=["start", "language"], filters=[("split", "=", "train")])
        languages = tuple(sorted(set(table["language"].to_pylist())))
        codes = np.array([languages.index(name) for name in table["language"].to_pylist()], dtype=np.int8)
        return Documents(table["start"].to_numpy(), codes, languages)


def pack(
    shards: Sequence[Path],
    output: Path,
    *,
    vocab_size: int,
    tokenizer: Tokenizer | None = None,
    held_out: Collection[str] | None = None,
    by_file: bool = False,
) -> None:
    """Split the files in ``shards`` by package and write a packed folder.

    Args:
        shards: the source files.
        output: the packed folder.
        vocab_size: vocabulary size, if a tokenizer is trained.
        tokenizer: the tokenizer; by default, one is trained on the training split.
        held_out: the packages to hold out; by default, :func:`choose_validation` chooses them.
        by_file: each file counts as a package of its own, and :func:`choose_files` chooses.

    Raises:
        UserError: there are fewer than two usable files or packages, so none can be held out.
        OSError: the disk is full.
    """
    packages = _packages(shards, by_file)
    n_files = sum(package.files for package in packages.values())
    if n_files < 2:
        raise UserError(
            f"Found {n_files} usable source file(s), but training needs at least two, one of them held out: "
            "name folders with .py, .java or .js files."
        )
    if len(packages) == 1:
        (name,) = packages
        raise UserError(
            f"All {n_files} usable files are in the one folder {name}, but validation needs files of another: choose "
            "that folder itself, without the files next to it, so that each of its subfolders and files counts by "
            "itself."
        )
    if held_out is None:
        held_out = (choose_files if by_file else choose_validation)(packages.values())
    for name in packages.keys() & set(held_out):
        packages[name].split = "validation"
    if len({package.split for package in packages.values()}) < 2:
        raise UserError(
            f"Of the {len(packages):,} packages with usable files, some must be held out and others not, but --hold-out"
            f" names {len(packages.keys() & set(held_out))} of them; names are case-sensitive."
        )
    if absent := set(held_out) - packages.keys():
        print(f"Not among the packages, so not held out: {', '.join(sorted(absent))}.", file=sys.stderr)
    tokenizer = tokenizer or train_tokenizer(shards, vocab_size, held_out, by_file)
    output.mkdir(parents=True, exist_ok=True)
    dtype = np.dtype("<u2" if tokenizer.vocab_size <= 2**16 else "<u4")
    _write_tokens(shards, output, tokenizer, dtype, held_out, by_file)
    tokenizer.save(output / "tokenizer.json")
    manifest = {
        "dtype": dtype.str,
        "shards": os.path.relpath(shards[0].parent, output),
        "packages": [asdict(package) for package in packages.values()],
    }
    with replacing(output / "manifest.json") as file:
        file.write(json.dumps(manifest, indent=1).encode())


def train_tokenizer(
    shards: Sequence[Path], vocab_size: int, held_out: Collection[str] = (), by_file: bool = False
) -> Tokenizer:
    """Train a tokenizer on a random but reproducible sample of files, equally much of each language (arXiv 2301.03988,
    section 4.3), without the packages in ``held_out``.
    """
    sizes = dict.fromkeys(LANGUAGES.values(), 0)
    for key, (_, size) in tally(shards).kept.items():
        sizes[key.split("|")[0]] += size
    present = {language: size for language, size in sizes.items() if size}
    share = {language: TOKENIZER_SAMPLE_BYTES / len(present) / size for language, size in present.items()}
    texts = (
        file.text
        for shard in tqdm(shards, desc="training the tokenizer", unit=" shards")
        for file in read_shard(shard)
        # not by id, by which the pipeline draws a sample of the corpus
        if _package_name(file, by_file) not in held_out and file.digest < share[file.language] * 2**63
    )
    return Tokenizer.train(texts, vocab_size)


def load_packed(folder: Path) -> PackedData:
    """Open a folder written by :func:`pack`.

    Raises:
        UserError: the folder holds no packed data.
    """
    manifest_path = folder / "manifest.json"
    if not manifest_path.is_file():
        raise UserError(
            f"{folder} contains no packed data (manifest.json is missing); create it with python -m train.data."
        )
    manifest = json.loads(manifest_path.read_text())
    train, validation = (
        np.memmap(folder / f"{split}.bin", dtype=manifest["dtype"], mode="r") for split in ("train", "validation")
    )
    packages = [Package(**package) for package in manifest["packages"]]
    shards = folder / manifest.get("shards", "work")  # data packed by older versions has no such entry
    return PackedData(Tokenizer.load(folder / "tokenizer.json"), train, validation, packages, shards, folder)


def choose_validation(packages: Collection[Package]) -> set[str]:
    """Choose the packages to hold out, by name.

    For each language, packages are drawn in the order of their names' hashes until they have 1.5 % of the bytes.
    Packages larger than a fifth of that are skipped, so that no single package decides the validation loss. If all are,
    the smallest is held out, unless it is the only one of its language.
    """
    languages = {package.language for package in packages}
    chosen = {
        name
        for language in languages
        for name in _choose({package.name: package.bytes for package in packages if package.language == language})
    }
    return chosen or {min(packages, key=lambda package: (package.bytes, package.name)).name}


def choose_files(files: Collection[Package]) -> set[str]:
    """Choose the files to hold out, by name.

    Files are taken in the order of their names' hashes, as far as they fit into a tenth of the bytes and 100 kB; if
    none does, the smallest is held out. So a project that has changed mostly holds out the same files.
    """
    target = min(sum(file.bytes for file in files) * FILES_FRACTION, MOST_BYTES_OF_FILES)
    chosen: set[str] = set()
    held_out = 0
    for file in sorted(files, key=lambda file: hashlib.sha256(file.name.encode()).digest()):
        if held_out + file.bytes <= target:
            chosen.add(file.name)
            held_out += file.bytes
    return chosen or {min(files, key=lambda file: (file.bytes, file.name)).name}


def _choose(sizes: dict[str, int]) -> set[str]:
    target = sum(sizes.values()) * VALIDATION_FRACTION
    chosen: set[str] = set()
    held_out = 0
    for name in sorted(sizes, key=lambda name: hashlib.sha256(name.encode()).digest()):
        if held_out < target and sizes[name] <= target / 5:
            chosen.add(name)
            held_out += sizes[name]
    if not chosen and len(sizes) > 1:
        chosen.add(min(sizes, key=lambda name: (sizes[name], name)))
    return chosen


def _package_name(file: SourceFile, by_file: bool) -> str:
    return file.name if by_file else file.package


def _packages(shards: Sequence[Path], by_file: bool) -> dict[str, Package]:
    """All packages with their sizes."""
    packages: dict[str, Package] = {}
    for shard in shards:
        for file in read_shard(shard):
            name = _package_name(file, by_file)
            new = Package(name, file.version, file.licence, language=file.language)
            package = packages.setdefault(name, new)
            package.files += 1
            package.bytes += len(file.text.encode("utf-8"))
    return packages


def _write_tokens(
    shards: Sequence[Path],
    output: Path,
    tokenizer: Tokenizer,
    dtype: np.dtype,
    held_out: Collection[str],
    by_file: bool,
) -> None:
    """Write the token files of both splits and the table of their documents."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _documents_schema()
    offsets = {"train": 0, "validation": 0}
    with (
        replacing(output / "train.bin") as train,
        replacing(output / "validation.bin") as validation,
        replacing(output / "documents.parquet") as table,
        pq.ParquetWriter(table, schema) as documents,
    ):
        files = {"train": train, "validation": validation}
        for shard in tqdm(shards, desc="packing", unit=" shards"):
            rows = []
            for file, ids in _encoded(read_shard(shard), tokenizer):
                split = "validation" if _package_name(file, by_file) in held_out else "train"
                tokens = np.array([*ids, tokenizer.end_of_text_id], dtype=dtype)
                files[split].write(tokens.tobytes())
                rows.append(_document(file, split, offsets[split], len(tokens)))
                offsets[split] += len(tokens)
            documents.write_table(pa.Table.from_pylist(rows, schema))


def _documents_schema() -> pa.Schema:
    import pyarrow as pa

    texts = [(name, pa.string()) for name in ("package", "version", "licence", "path", "language")]
    return pa.schema([("split", pa.string()), ("start", pa.int64()), ("length", pa.int64()), *texts])


def _encoded(files: Sequence[SourceFile], tokenizer: Tokenizer) -> Iterator[tuple[SourceFile, list[int]]]:
    """Each file with its token ids, without end-of-text."""
    for start in range(0, len(files), 256):
        batch = files[start : start + 256]
        yield from zip(batch, tokenizer.encode_batch([file.text for file in batch]), strict=True)


def _document(file: SourceFile, split: str, start: int, length: int) -> dict[str, str | int]:
    provenance = {name: getattr(file, name) for name in ("package", "version", "licence", "path", "language")}
    return {"split": split, "start": start, "length": length, **provenance}
