"""Source files to packed tokens: a split by package, a tokenizer, two memory-mapped token files and a manifest.

A packed folder holds ``tokenizer.json``, ``train.bin`` and ``validation.bin`` (documents joined by end-of-text,
little-endian unsigned integers) and ``manifest.json`` (element type, packages with their licences).
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from santacoder.tokenizer import Tokenizer
from train.data.sources import SourceFile

VALIDATION_FRACTION = 0.015
TOKENIZER_SAMPLE_BYTES = 40_000_000


@dataclass
class Package:
    """What one package gave to the corpus; ``bytes`` are UTF-8."""

    name: str
    version: str
    licence: str
    files: int = 0
    bytes: int = 0
    split: str = "train"


@dataclass(frozen=True)
class PackedData:
    """A packed folder, opened: one-dimensional token arrays on disk."""

    tokenizer: Tokenizer
    train: np.ndarray
    validation: np.ndarray
    packages: Sequence[Package]


def pack(files: Iterable[SourceFile], output: Path, *, vocab_size: int, tokenizer: Tokenizer | None = None) -> None:
    """Split ``files`` by package, train a tokenizer on the training side if none is given, write a packed folder.

    Raises:
        ValueError: there are fewer than two usable files, so that nothing could be held out.
    """
    kept = list(tqdm(files, desc="reading", unit=" files"))
    if len(kept) < 2:
        raise ValueError(
            f"Found {len(kept)} usable source file(s), but training needs at least two, one of them held out: "
            "name folders with .py, .java or .js files."
        )
    packages = _packages(kept)
    texts: dict[str, list[str]] = {"train": [], "validation": []}
    for file in kept:
        texts[packages[file.package].split].append(file.text)
    tokenizer = tokenizer or Tokenizer.train(_sample(texts["train"], TOKENIZER_SAMPLE_BYTES), vocab_size)
    output.mkdir(parents=True, exist_ok=True)
    dtype = np.dtype("<u2" if tokenizer.vocab_size <= 2**16 else "<u4")
    for split, split_texts in texts.items():
        _write_tokens(output / f"{split}.bin", split_texts, tokenizer, dtype)
    tokenizer.save(output / "tokenizer.json")
    manifest = {"dtype": dtype.str, "packages": [asdict(package) for package in packages.values()]}
    (output / "manifest.json").write_text(json.dumps(manifest, indent=1))


def load_packed(folder: Path) -> PackedData:
    """Open a folder written by :func:`pack`.

    Raises:
        ValueError: the folder holds no packed data.
    """
    manifest_path = folder / "manifest.json"
    if not manifest_path.is_file():
        raise ValueError(
            f"{folder} holds no packed data (manifest.json is missing); make it with python -m train.data."
        )
    manifest = json.loads(manifest_path.read_text())
    train, validation = (
        np.memmap(folder / f"{split}.bin", dtype=manifest["dtype"], mode="r") for split in ("train", "validation")
    )
    packages = [Package(**package) for package in manifest["packages"]]
    return PackedData(Tokenizer.load(folder / "tokenizer.json"), train, validation, packages)


def choose_validation(sizes: dict[str, int]) -> set[str]:
    """Names of the packages to hold out, given every package's bytes.

    They are drawn by the hash of their names until they hold 1.5 % of the bytes. A package of more than a fifth of
    that is passed over, so that no single one decides the validation loss; where all are, as in a small corpus, the
    smallest is held out.
    """
    target = sum(sizes.values()) * VALIDATION_FRACTION
    chosen: set[str] = set()
    held_out = 0
    for name in sorted(sizes, key=lambda name: hashlib.sha256(name.encode()).digest()):
        if held_out < target and sizes[name] <= target / 5:
            chosen.add(name)
            held_out += sizes[name]
    return chosen or {min(sizes, key=lambda name: (sizes[name], name))}


def _packages(files: Sequence[SourceFile]) -> dict[str, Package]:
    """Every package of ``files`` with its sizes and its side of the split."""
    packages: dict[str, Package] = {}
    for file in files:
        package = packages.setdefault(file.package, Package(file.package, file.version, file.licence))
        package.files += 1
        package.bytes += len(file.text.encode("utf-8"))
    held_out = choose_validation({name: package.bytes for name, package in packages.items()})
    for name in held_out:
        packages[name].split = "validation"
    return packages


def _sample(texts: Sequence[str], max_bytes: int) -> Iterator[str]:
    """Whole texts in random but repeatable order, up to about ``max_bytes``."""
    order = random.Random(0).sample(range(len(texts)), len(texts))
    total = 0
    for index in order:
        if total >= max_bytes:
            return
        total += len(texts[index])
        yield texts[index]


def _write_tokens(path: Path, texts: Sequence[str], tokenizer: Tokenizer, dtype: np.dtype) -> None:
    with path.open("wb") as file, tqdm(total=len(texts), desc=f"packing {path.stem}", unit=" files") as progress:
        for start in range(0, len(texts), 256):
            batch = texts[start : start + 256]
            for ids in tokenizer.encode_batch(batch):
                np.array([*ids, tokenizer.end_of_text_id], dtype=dtype).tofile(file)
            progress.update(len(batch))
