"""Where a text's fingerprints stand in the index, and which of them follow each other as they do in the text."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from santacoder.attribution.build import remainder
from santacoder.attribution.index_file import Contents
from santacoder.attribution.winnowing import RUN
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
    as far apart; ``place`` is the first one's token there. No run around them has tokens of the text outside ``reach``,
    first and last + 1."""

    first: int
    last: int
    file: int
    place: int
    reach: tuple[int, int]


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


def chains(index: Contents, found: Occurrences, places: np.ndarray, n_tokens: int) -> list[Chain]:
    """Occurrences of neighbouring fingerprints, which stand at ``places`` [m] in the text of ``n_tokens`` tokens,
    joined where they are as far apart in one file as in the text."""
    if not len(found.place):
        return []
    diagonal = found.place - places[found.fingerprint]
    order = np.lexsort((found.fingerprint, diagonal, found.file))
    file, diagonal, fingerprint = found.file[order], diagonal[order], found.fingerprint[order]
    elsewhere = (np.diff(file) != 0) | (np.diff(diagonal) != 0)
    begins, ends = _stretches(elsewhere | (np.diff(fingerprint) != 1))
    place = found.place[order[begins]] - index.files["token"][file[begins]]
    reach_first, reach_last = _reach(places[fingerprint], elsewhere, index.parameters.window)
    if _has_gaps(places, n_tokens, index.parameters.window):
        reach_first[:], reach_last[:] = 0, n_tokens
    reach = zip(reach_first.clip(0)[begins].tolist(), reach_last.clip(None, n_tokens)[begins].tolist(), strict=True)
    columns = (fingerprint[begins], fingerprint[ends], file[begins], place)
    return [Chain(*row) for row in zip(*(column.tolist() for column in columns), reach, strict=True)]


def _reach(places: np.ndarray, elsewhere: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """For each occurrence, whose fingerprint is at ``places`` in the text, the tokens outside which no run around it
    can have any. ``elsewhere`` says where the next occurrence is of another file or diagonal.

    A run that has a whole window before a fingerprint has another one in that window, at most ``window`` before it.
    """
    begins, ends = _stretches(elsewhere | (np.diff(places) > window))
    lengths = ends - begins + 1
    return np.repeat(places[begins] - window + 1, lengths), np.repeat(places[ends] + RUN + window - 1, lengths)


def _has_gaps(places: np.ndarray, n_tokens: int, window: int) -> bool:
    """Whether a whole window has no fingerprint, because it only repeats a few tokens."""
    return bool(np.diff(np.concatenate([[-1], places, [n_tokens - RUN + 1]])).max() > window)


def _stretches(breaks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last of each stretch, where ``breaks`` [n - 1] tells between which of n neighbours one ends."""
    begins = np.append(0, np.flatnonzero(breaks) + 1)
    return begins, np.append(begins[1:], len(breaks) + 1) - 1
