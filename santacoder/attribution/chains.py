"""Occurrences of a text's fingerprints in the index, and chains of consecutive ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from santacoder.attribution.build import remainder
from santacoder.attribution.contents import Contents
from santacoder.attribution.winnowing import RUN


@dataclass(frozen=True)
class Occurrences:
    """Occurrences of fingerprints: for each, the number of its fingerprint, its position in the index and its file, all
    [n]; and for each fingerprint, the number of files that contain it, [m].
    """

    fingerprint: np.ndarray
    place: np.ndarray
    file: np.ndarray
    n_files: np.ndarray


@dataclass(frozen=True)
class Chain:
    """Consecutive fingerprints of the text, ``first`` to ``last``, that also occur in ``file`` at the same distances.

    ``place`` is the position of the first one in the file, in tokens. ``reach``, first and last + 1, bounds the tokens
    of the text that a run around the chain can include.
    """

    first: int
    last: int
    file: int
    place: int
    reach: tuple[int, int]


def occurrences(index: Contents, hashes: np.ndarray) -> Occurrences:
    """Find all occurrences of the fingerprints ``hashes`` [m] uint64 in the index."""
    buckets = (hashes >> np.uint64(64 - index.bucket_bits)).astype(np.int64)
    begin = index.buckets[buckets].astype(np.int64)
    lengths = index.buckets[buckets + 1].astype(np.int64) - begin
    fingerprint = np.repeat(np.arange(len(hashes)), lengths)
    within = np.arange(len(fingerprint)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    rows = begin[fingerprint] + within
    equal = index.hashes[rows] == remainder(hashes, index.bucket_bits)[fingerprint]
    fingerprint, place = fingerprint[equal], index.places[rows[equal]].astype(np.int64)
    file = np.searchsorted(index.files["token"], place, side="right") - 1
    pairs = np.unique(np.stack([fingerprint, file]), axis=1)
    return Occurrences(fingerprint, place, file, np.bincount(pairs[0], minlength=len(hashes)))


def chains(index: Contents, found: Occurrences, places: np.ndarray, n_tokens: int) -> list[Chain]:
    """Join occurrences of consecutive fingerprints that have the same distances in a file as in the text.

    ``places`` [m] are the positions of the fingerprints in the text of ``n_tokens`` tokens.
    """
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
    """For each occurrence, the range of tokens of the text that a run around it can include.

    ``places`` are the positions of the occurrences' fingerprints in the text; ``elsewhere`` marks where the next
    occurrence is in another file or diagonal. A run that includes a whole window before a fingerprint has another
    fingerprint in that window, at most ``window`` before it.
    """
    begins, ends = _stretches(elsewhere | (np.diff(places) > window))
    lengths = ends - begins + 1
    return np.repeat(places[begins] - window + 1, lengths), np.repeat(places[ends] + RUN + window - 1, lengths)


def _has_gaps(places: np.ndarray, n_tokens: int, window: int) -> bool:
    """Whether some window has no fingerprint, because it only repeats a few tokens."""
    return bool(np.diff(np.concatenate([[-1], places, [n_tokens - RUN + 1]])).max() > window)


def _stretches(breaks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last index of each run of n neighbours; ``breaks`` [n - 1] marks where a run ends."""
    begins = np.append(0, np.flatnonzero(breaks) + 1)
    return begins, np.append(begins[1:], len(breaks) + 1) - 1
