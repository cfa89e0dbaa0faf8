"""Indexes distributed over a Ray cluster, for corpora that do not fit on one machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # set before the import, which reads it

import ray
from ray.exceptions import RayTaskError

from santacoder.attribution.query import AttributionIndex
from santacoder.attribution.shards import shard_folders, total
from santacoder.attribution.spans import Searched, Source, Span, merged

_CODE = Path(__file__).resolve().parents[1]


class RayShards:
    """Like ``Shards``, with an actor for each index. All machines must share ``folder``.

    Runs on the cluster at ``RAY_ADDRESS``, or on one started on this machine.
    """

    def __init__(self, folder: Path) -> None:
        """Start an actor for each index in ``folder``.

        Raises:
            AttributionError: there is no index, or one of them cannot be used.
        """
        if not ray.is_initialized():
            ray.init(include_dashboard=False, runtime_env={"py_modules": [str(_CODE)]})
        # an index waits for its disk more than it computes
        actor = ray.remote(num_cpus=0.25)(_Shard)
        self._shards = [actor.remote(shard.resolve()) for shard in shard_folders(folder)]
        self.searched = total(_get([shard.searched.remote() for shard in self._shards]))

    def find(self, text: str, language: str | None = None) -> list[Span]:
        """The spans from all indexes; see :meth:`AttributionIndex.find`.

        Raises:
            AttributionError: the text cannot be looked up, or a corpus was changed.
        """
        return merged(_get([shard.find.remote(text, language) for shard in self._shards]))

    def original(self, source: Source) -> str | None:
        """The original lines, or None if the index has no text.

        Raises:
            AttributionError: the corpus was changed since it was indexed.
        """
        return _get(self._shards[source.shard].original.remote(source))


def _get(results: Any) -> Any:
    """The results of the actors. Their exceptions are raised without Ray's wrapper."""
    try:
        return ray.get(results)
    except RayTaskError as error:
        raise error.cause from None


class _Shard:
    """An index in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._index = AttributionIndex(folder)

    def searched(self) -> Searched:
        return self._index.searched

    def find(self, text: str, language: str | None) -> list[Span]:
        return self._index.find(text, language)

    def original(self, source: Source) -> str | None:
        return self._index.original(source)
