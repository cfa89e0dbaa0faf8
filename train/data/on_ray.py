"""The Ray executor of the pipeline: the same operations as ``local.py``, on a cluster.

Shards are in a folder that all machines share. Deduplication is a series of shuffles: files by digest, bands by key,
pairs by id, and edges by node, until every component is a star around its smallest id.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # set before the import, which reads it

import numpy as np
import ray
from ray.data import Dataset

from train.data.duplicates import Duplicates, hash_shard, shingle_shard
from train.data.near_dedup import are_similar, candidate_pairs, exact_duplicates

Item = TypeVar("Item")
Result = TypeVar("Result")
Batch = dict[str, np.ndarray]

_CODE = Path(__file__).resolve().parents[2]


class RayExecutor:
    """Runs work on the cluster at ``RAY_ADDRESS``, or on one started on this machine.

    Every shuffle has ``partitions`` parts (default: twice the cluster's cores), each of which must fit in memory.
    """

    def __init__(self, partitions: int | None = None) -> None:
        if not ray.is_initialized():
            modules = [str(_CODE / name) for name in ("train", "santacoder")]
            ray.init(include_dashboard=False, runtime_env={"py_modules": modules})
        self.partitions = partitions or 2 * int(ray.cluster_resources()["CPU"])

    def map(self, function: Callable[[Item], Result], items: Sequence[Item], description: str) -> list[Result]:
        """Apply ``function`` to every item and return the results in order."""
        if not items:
            return []
        rows = [{"number": number, "item": pickle.dumps(item)} for number, item in enumerate(items)]
        dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map(partial(_apply, function))
        dataset.set_name(description)
        results = {row["number"]: pickle.loads(row["result"]) for row in dataset.take_all()}
        return [results[number] for number in range(len(items))]

    def duplicates(self, shards: Sequence[Path], ngram_size: int, threshold: float, layout: bool = False) -> Duplicates:
        """The duplicates among the files of ``shards``. The driver holds the ids of dropped files and of candidates."""
        hashed = _of_shards(shards, partial(_hashes, ngram_size=ngram_size, threshold=threshold, layout=layout))
        exact = _column(self._shuffled(hashed, "digest", _exact), "id")
        keys = hashed.map_batches(partial(_bands, exact=exact))
        pairs = self._shuffled(self._shuffled(keys, "key", _candidates), "one", _distinct).materialize()
        if not pairs.count():
            return Duplicates(exact, np.empty(0, np.int64))
        edges = self._verified(shards, pairs, ngram_size, threshold, layout)
        return Duplicates(exact, self._leaves(edges))

    def _verified(
        self, shards: Sequence[Path], pairs: Dataset, ngram_size: int, threshold: float, layout: bool
    ) -> Dataset:
        """The ``pairs`` whose similarity is at least ``threshold``: columns ``one`` and ``other``, smaller id first."""
        wanted = np.union1d(_column(pairs, "one"), _column(pairs, "other"))
        documents = _of_shards(shards, partial(_documents, ngram_size=ngram_size, wanted=wanted, layout=layout))
        pairs = pairs.map_batches(_without_shingles)
        for side in ("one", "other"):
            rows = pairs.union(documents.map_batches(partial(_as_pair, side=side)))
            pairs = self._shuffled(rows, side, partial(_attach, side=side)).materialize()
        return pairs.map_batches(partial(_similar, threshold=threshold)).materialize()

    def _leaves(self, edges: Dataset) -> np.ndarray:
        """All nodes of ``edges`` except the smallest of each component, ascending, by alternating large-star and
        small-star (Kiveris et al., Connected Components in MapReduce and Beyond, 2014).
        """
        before = -1
        while edges.count() and (now := _checksum(edges)) != before:
            before = now
            large = self._shuffled(edges.map_batches(_both_ways), "one", large_star)
            edges = self._shuffled(large.map_batches(_larger_first), "one", small_star).materialize()
        return np.unique(_column(edges, "one")) if before != -1 else np.empty(0, np.int64)

    def _shuffled(self, dataset: Dataset, column: str, function: Callable[[Batch], Batch]) -> Dataset:
        """Apply ``function`` to each part of ``dataset``; rows with the same ``column`` are in the same part."""
        parts = dataset.map_batches(partial(_with_part, column=column, partitions=self.partitions))
        grouped = parts.groupby("part", num_partitions=self.partitions)
        return grouped.map_groups(function, batch_format="numpy")


def large_star(edges: Batch) -> Batch:
    """Connect the larger neighbours ``other`` of each node ``one`` to the smallest of all its neighbours and itself."""
    one, other, smallest = _by_node(edges)
    smallest = np.minimum(smallest, one)
    larger = other > one
    return _edges(other[larger], smallest[larger])


def small_star(edges: Batch) -> Batch:
    """Connect the smaller neighbours ``other`` of each node ``one``, and the node, to the smallest neighbour."""
    one, other, smallest = _by_node(edges)
    rest = other != smallest
    return _edges(np.concatenate([one, other[rest]]), np.concatenate([smallest, smallest[rest]]))


def _by_node(edges: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges sorted by ``one``, and for each edge the smallest ``other`` of its node."""
    order = np.lexsort((edges["other"], edges["one"]))
    one, other = edges["one"][order], edges["other"][order]
    starts = np.flatnonzero(np.r_[True, one[1:] != one[:-1]])
    lengths = np.diff(np.r_[starts, len(one)])
    return one, other, np.repeat(other[starts], lengths)


def _edges(one: np.ndarray, other: np.ndarray) -> Batch:
    distinct = np.unique(np.stack([one, other], axis=1), axis=0)
    return {"one": distinct[:, 0], "other": distinct[:, 1]}


def _distinct(pairs: Batch) -> Batch:
    return _edges(pairs["one"], pairs["other"])


def _both_ways(edges: Batch) -> Batch:
    one, other = edges["one"], edges["other"]
    return {"one": np.concatenate([one, other]), "other": np.concatenate([other, one])}


def _larger_first(edges: Batch) -> Batch:
    return {
        "one": np.maximum(edges["one"], edges["other"]),
        "other": np.minimum(edges["one"], edges["other"]),
    }


def _checksum(edges: Dataset) -> int:
    """A checksum of the set of edges; different sets have the same one with a probability of about 2^-60."""
    sums = edges.map_batches(_sum_of_edges, batch_size=None).take_all()
    return sum(row["sum"] for row in sums)


def _sum_of_edges(edges: Batch) -> Batch:
    return {"sum": np.array([((edges["one"] * 31 + edges["other"]) >> 20).sum()])}


def _apply(function: Callable[[Any], Any], row: dict[str, Any]) -> dict[str, Any]:
    return {"number": row["number"], "result": pickle.dumps(function(pickle.loads(row["item"])))}


def _of_shards(shards: Sequence[Path], function: Callable[[Path], Batch]) -> Dataset:
    """The rows that ``function`` produces from each shard."""
    names = ray.data.from_items([{"shard": str(shard)} for shard in shards], override_num_blocks=len(shards))
    return names.map_batches(lambda batch: function(Path(batch["shard"][0])), batch_size=1).materialize()


def _hashes(shard: Path, ngram_size: int, threshold: float, layout: bool) -> Batch:
    hashed = hash_shard(shard, ngram_size, threshold, layout)
    return {"id": hashed.ids, "digest": hashed.digests, "keys": hashed.keys}


def _documents(shard: Path, ngram_size: int, wanted: np.ndarray, layout: bool) -> Batch:
    found = shingle_shard(shard, ngram_size, wanted, layout)
    shingles = np.empty(len(found), object)
    shingles[:] = [document.tobytes() for document in found.values()]
    return {"id": np.fromiter(found, np.int64, len(found)), "shingles": shingles}


def _exact(files: Batch) -> Batch:
    return {"id": exact_duplicates(files["digest"], files["id"])}


def _bands(files: Batch, exact: np.ndarray) -> Batch:
    """A row for each band of each file that is not an exact duplicate."""
    unique = ~np.isin(files["id"], exact)
    keys = files["keys"][unique]
    return {"key": keys.ravel(), "id": np.repeat(files["id"][unique], keys.shape[1])}


def _candidates(bands: Batch) -> Batch:
    pairs = candidate_pairs(bands["key"], bands["id"])
    return {"one": pairs[:, 0], "other": pairs[:, 1]}


def _without_shingles(pairs: Batch) -> Batch:
    empty = np.full(len(pairs["one"]), b"", object)
    return {**pairs, "shingles_one": empty, "shingles_other": empty}


def _as_pair(documents: Batch, side: str) -> Batch:
    """Documents with the columns of pairs, so that a shuffle brings both together; the other side is -1."""
    none, empty = np.full(len(documents["id"]), -1, np.int64), np.full(len(documents["id"]), b"", object)
    row = {"one": none, "other": none, "shingles_one": empty, "shingles_other": empty}
    return {**row, side: documents["id"], f"shingles_{side}": documents["shingles"]}


def _attach(rows: Batch, side: str) -> Batch:
    """The pairs among ``rows``, with the shingles of their ``side`` taken from the documents among ``rows``."""
    document = rows["other" if side == "one" else "one"] == -1
    shingles = dict(zip(rows[side][document].tolist(), rows[f"shingles_{side}"][document], strict=True))
    pairs = {name: values[~document] for name, values in rows.items() if name != "part"}
    found = np.empty(len(pairs[side]), object)
    found[:] = [shingles[id_] for id_ in pairs[side].tolist()]
    return {**pairs, f"shingles_{side}": found}


def _similar(pairs: Batch, threshold: float) -> Batch:
    similar = np.array(
        [
            are_similar(np.frombuffer(one, np.uint64), np.frombuffer(other, np.uint64), threshold)
            for one, other in zip(pairs["shingles_one"], pairs["shingles_other"], strict=True)
        ],
        bool,
    )
    return {"one": pairs["one"][similar], "other": pairs["other"][similar]}


def _with_part(batch: Batch, column: str, partitions: int) -> Batch:
    return {**batch, "part": (batch[column] % partitions).astype(np.int64)}


def _column(dataset: Dataset, name: str) -> np.ndarray:
    """A sorted int64 column, collected on the driver."""
    parts = [batch[name] for batch in dataset.select_columns([name]).iter_batches(batch_size=None)]
    return np.sort(np.concatenate([*parts, np.empty(0, np.int64)]).astype(np.int64))
