"""The local executor of the pipeline: parallel maps and deduplication on the cores of one machine."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from train.child_process import end_with_parent
from train.data.duplicates import Duplicates, hash_shard, shingle_shard
from train.data.near_dedup import are_similar, candidate_pairs, components, exact_duplicates

Item = TypeVar("Item")
Result = TypeVar("Result")


class LocalExecutor:
    """Runs work on one machine, in as many processes as it has cores."""

    def map(self, function: Callable[[Item], Result], items: Sequence[Item], description: str) -> list[Result]:
        """Apply ``function`` to every item and return the results in order."""
        workers = min(os.cpu_count() or 1, len(items))
        if workers < 2:
            return [function(item) for item in tqdm(items, desc=description, unit=" shards")]
        # spawn, not fork: the parent may have threads, and a fork would copy their locks in any state
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, context, end_with_parent, (os.getpid(),)) as pool:
            try:
                return list(tqdm(pool.map(function, items), total=len(items), desc=description, unit=" shards"))
            except BaseException:  # including an interrupt: pending work is not started
                pool.shutdown(cancel_futures=True)
                raise

    def duplicates(self, shards: Sequence[Path], ngram_size: int, threshold: float, layout: bool = False) -> Duplicates:
        """The duplicates among the files of ``shards``. Memory: eight bytes per file and band, and the candidates'
        shingles.
        """
        hashed = self.map(
            partial(hash_shard, ngram_size=ngram_size, threshold=threshold, layout=layout), shards, "hashing"
        )
        ids = np.concatenate([part.ids for part in hashed])
        digests = np.concatenate([part.digests for part in hashed])
        keys = np.concatenate([part.keys for part in hashed])
        exact = exact_duplicates(digests, ids)
        unique = ~np.isin(ids, exact)
        per_band = [candidate_pairs(band[unique], ids[unique]) for band in keys.T]
        pairs = np.unique(np.concatenate(per_band), axis=0)
        shingling = partial(shingle_shard, ngram_size=ngram_size, wanted=np.unique(pairs), layout=layout)
        shingled = self.map(shingling, shards, "comparing")
        documents = {id_: document for part in shingled for id_, document in part.items()}
        roots = components(
            map(tuple, pairs.tolist()), lambda one, other: are_similar(documents[one], documents[other], threshold)
        )
        return Duplicates(exact, np.array(sorted(id_ for id_, root in roots.items() if id_ != root), np.int64))
