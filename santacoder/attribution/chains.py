"""Where a text's fingerprints stand in the index, and which of them follow each other as they do in the text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from santacoder.attribution.build import remainder
from santacoder.attribution.index_file import Contents
from santacoder.errors import AttributionError


@dataclass(frozen=True)
class Occurrences:
    """Of every occurrence, the number of its fingerprint, its place in the index and its file, all [n]; and of every
    fingerprint, in how many files it stands, [m]."""

    fingerprint: np.ndarray
    place: np.ndarray
    file: np.ndarray
    n_files: np.ndarray


@dataclass(frozen=True)
class Chain:
    """Neighbouring fingerprints, numbers ``first`` to ``last`` of the text's, that also stand in ``file`` and
    as far apart; ``place`` is the first one's token there."""

    first: int
    last: int
    file: int
    place: int


def occurrences(index: Contents, hashes: np.ndarray) -> Occurrences:
    """Everything the index has of fingerprints ``hashes`` [m] uint64.

    Raises:
        AttributionError: the index is damaged.
    """
    buckets = (hashes >> np.uint64(64 - index.bucket_bits)).astype(np.int64)
    begin = index.buckets[buckets].astype(np.int64)
    lengths = index.buckets[buckets + 1].astype(np.int64) - begin
    if len(hashes) and (lengths.min() < 0 or (begin + lengths).max() > len(index.hashes)):
        raise AttributionError("The index is damaged: a bucket reaches beyond it. Copy it or build it again.")
    fingerprint = np.repeat(np.arange(len(hashes)), lengths)
    within = np.arange(len(fingerprint)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    rows = begin[fingerprint] + within
    equal = index.hashes[rows] == remainder(hashes, index.bucket_bits)[fingerprint]
    fingerprint, place = fingerprint[equal], index.places[rows[equal]].astype(np.int64)
    if len(place) and place.max() >= index.files["token"][-1]:
        raise AttributionError("The index is damaged: a token lies beyond its files. Copy it or build it again.")
    file = np.searchsorted(index.files["token"], place, side="right") - 1
    pairs = np.unique(np.stack([fingerprint, file]), axis=1)
    return Occurrences(fingerprint, place, file, np.bincount(pairs[0], minlength=len(hashes)))


def chains(index: Contents, found: Occurrences, places: np.ndarray) -> list[Chain]:
    """Occurrences of neighbouring fingerprints, which stand at ``places`` [m] in the text, joined where they are as far
    apart in one file as in the text."""
    if not len(found.place):
        return []
    diagonal = found.place - places[found.fingerprint]
    order = np.lexsort((found.fingerprint, diagonal, found.file))
    file, diagonal, fingerprint = found.file[order], diagonal[order], found.fingerprint[order]
    breaks = (np.diff(file) != 0) | (np.diff(diagonal) != 0) | (np.diff(fingerprint) != 1)
    begins = np.append(0, np.flatnonzero(breaks) + 1)
    ends = np.append(begins[1:], len(order)) - 1
    place = found.place[order[begins]] - index.files["token"][file[begins]]
    columns = (fingerprint[begins], fingerprint[ends], file[begins], place)
    return [Chain(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
