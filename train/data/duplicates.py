"""The inputs and results of deduplication, the same on one machine and on a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from santacoder.atomic import replacing
from train.data.near_dedup import band_keys, shingles
from train.data.source_file import SourceFile, read_shard, removed
from train.data.steps import Outcome


@dataclass(frozen=True)
class HashedShard:
    """Hashes of each file: ``ids`` [n] int64, ``digests`` of the text [n] int64, ``keys`` of its LSH bands [n, bands]
    uint64.
    """

    ids: np.ndarray
    digests: np.ndarray
    keys: np.ndarray


@dataclass(frozen=True)
class Duplicates:
    """Ids of the files to drop, ascending, [n] int64: ``exact`` duplicates and ``near`` duplicates of other files."""

    exact: np.ndarray
    near: np.ndarray

    def save(self, path: Path) -> None:
        with replacing(path) as file:
            np.savez(file, exact=self.exact, near=self.near)

    @classmethod
    def load(cls, path: Path) -> Duplicates:
        with np.load(path) as arrays:
            return cls(arrays["exact"], arrays["near"])


def hash_shard(shard: Path, ngram_size: int, threshold: float, layout: bool) -> HashedShard:
    files = read_shard(shard)
    documents = [shingles(file.text, ngram_size, layout) for file in files]
    return HashedShard(
        ids=np.array([file.id for file in files], np.int64),
        digests=np.array([file.digest for file in files], np.int64),
        keys=band_keys(documents, threshold),
    )


def shingle_shard(shard: Path, ngram_size: int, wanted: np.ndarray, layout: bool) -> dict[int, np.ndarray]:
    """The shingles of the files whose ids are in ``wanted``, by id."""
    found = {file.id: file.text for file in read_shard(shard)}
    chosen = np.intersect1d(np.fromiter(found, np.int64, len(found)), wanted)
    return {int(id_): shingles(found[int(id_)], ngram_size, layout) for id_ in chosen}


def drop(files: Sequence[SourceFile], duplicates: Path) -> Outcome:
    """Remove the files that are duplicates of others."""
    loaded = Duplicates.load(duplicates)
    ids = np.array([file.id for file in files], np.int64)
    exact, near = np.isin(ids, loaded.exact), np.isin(ids, loaded.near)
    reasons = np.where(exact, "exact duplicate", np.where(near, "near duplicate", ""))
    return Outcome(
        [file for file, reason in zip(files, reasons, strict=True) if not reason],
        [removed(file, str(reason)) for file, reason in zip(files, reasons, strict=True) if reason],
    )
