"""Exact and near deduplication: MinHash signatures, locality-sensitive hashing, verification of candidate pairs.

These are pure functions over arrays, so one machine and a cluster give the same result (``local.py``, ``on_ray.py``).
Parameters are those of arXiv 2301.03988 (section 4.1) and of bigcode-dataset: 256 permutations; tokens are letters,
digits and underscores.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from rensa import RMinHash

NUM_PERM = 256
MIN_TOKENS = 5
MAX_NEIGHBOURS = 50
# the probability that a pair at the threshold is found, which the bands are chosen for (docs/data.md)
MIN_FOUND = 0.95
_SEED = 1
# a table for bytes.translate, which is three times as fast as a regular expression
_SEPARATED = bytes(byte if byte < 128 and f"_{chr(byte)}".isidentifier() else ord(" ") for byte in range(256))
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio, odd: Knuth's multiplicative hashing


def tokens(text: str) -> list[bytes]:
    """Split ``text`` into runs of ASCII letters, digits and underscores."""
    return text.encode("utf-8").translate(_SEPARATED).split()


def tokens_and_layout(text: str) -> list[bytes]:
    """Like :func:`tokens`, with an empty token between any two adjacent separators. The original splits files this way
    (bigcode-dataset, ``minhash_deduplication.py``), so layout affects similarity.
    """
    return text.encode("ascii", "replace").translate(_SEPARATED).split(b" ")


def shingles(text: str, ngram_size: int, layout: bool = False) -> np.ndarray:
    """Hashes of the distinct n-grams of ``ngram_size`` tokens, [n] uint64; empty for fewer than five tokens."""
    found = tokens_and_layout(text) if layout else tokens(text)
    if len(found) < max(MIN_TOKENS, ngram_size):
        return np.empty(0, np.uint64)
    if ngram_size == 1:
        return np.array(RMinHash.hash_token_sets([set(found)])[0], np.uint64)
    hashes = np.array(RMinHash.hash_token_sets([found])[0], np.uint64)
    combined = hashes[: len(hashes) - ngram_size + 1].copy()
    for offset in range(1, ngram_size):
        combined = (combined ^ (combined >> np.uint64(31))) * _MULTIPLIER
        combined += hashes[offset : len(hashes) - ngram_size + 1 + offset]
    return np.unique(combined)


def are_similar(one: np.ndarray, other: np.ndarray, threshold: float) -> bool:
    """Whether two results of :func:`shingles` have a Jaccard similarity (intersection over union) of at least
    ``threshold``. If the sizes alone rule that out, nothing is compared.
    """
    if min(len(one), len(other)) < threshold * max(len(one), len(other)) or not len(one):
        return False
    both = len(np.intersect1d(one, other, assume_unique=True))
    return both >= threshold * (len(one) + len(other) - both)


def choose_bands(threshold: float) -> tuple[int, int]:
    """Choose the number of bands and of rows per band.

    These are the longest bands with which a pair of similarity ``threshold`` is found with probability ``MIN_FOUND``
    (Leskovec et al., Mining of Massive Datasets, section 3.4.2: 1 - (1 - s^rows)^bands). Longer bands give fewer false
    candidates, which are rejected later but cost time.
    """
    for rows in range(NUM_PERM, 0, -1):
        bands = NUM_PERM // rows
        if 1 - (1 - threshold**rows) ** bands >= MIN_FOUND:
            return bands, rows
    return NUM_PERM, 1


def band_keys(documents: Sequence[np.ndarray], threshold: float) -> np.ndarray:
    """A hash of every band of every document's MinHash signature, [len(documents), bands] uint64."""
    bands, rows = choose_bands(threshold)
    if not documents:
        return np.empty((0, bands), np.uint64)
    offsets = np.cumsum([0, *map(len, documents)])
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(np.concatenate(documents), offsets, NUM_PERM, _SEED)
    numbers = itertools.chain.from_iterable(matrix.to_rows())
    signatures = np.fromiter(numbers, np.uint64, len(documents) * NUM_PERM).reshape(-1, NUM_PERM)
    keys = np.empty((len(documents), bands), np.uint64)
    for band in range(bands):
        key = np.full(len(documents), band, np.uint64)
        for column in signatures[:, band * rows : (band + 1) * rows].T:
            key = ((key ^ (key >> np.uint64(31))) * _MULTIPLIER) + column
        keys[:, band] = key
    return keys


def exact_duplicates(digests: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The ``ids`` of all files except the one with the smallest id in each group of equal ``digests``, ascending; all
    [n] int64.
    """
    order = np.lexsort((ids, digests))
    repeated = np.flatnonzero(digests[order][1:] == digests[order][:-1]) + 1
    return np.sort(ids[order][repeated])


def candidate_pairs(keys: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Distinct pairs of ``ids`` [n] with equal ``keys`` [n], smaller id first: [pairs, 2] int64.

    In a large bucket, each file is paired only with the next fifty: their chain connects the bucket, and the number of
    pairs stays linear.
    """
    order = np.lexsort((ids, keys))
    keys, ids = keys[order], ids[order]
    pairs = []
    for distance in range(1, MAX_NEIGHBOURS + 1):
        equal = np.flatnonzero(keys[distance:] == keys[:-distance])
        if not len(equal):
            break
        pairs.append(np.stack([ids[equal], ids[equal + distance]], axis=1))
    return np.unique(np.concatenate(pairs), axis=0) if pairs else np.empty((0, 2), np.int64)


def components(pairs: Iterable[tuple[int, int]], similar: Callable[[int, int], bool]) -> dict[int, int]:
    """For each id that a ``similar`` pair connects to a smaller one, the smallest id of its connected component.

    A pair that is already connected is not compared, since it cannot change the result.
    """
    parent: dict[int, int] = {}

    def root(node: int) -> int:
        while (above := parent.get(node, node)) != node:
            parent[node] = parent.get(above, above)
            node = above
        return node

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        if low != high and similar(one, other):
            parent[high] = low
    return {node: root(node) for node in parent}
