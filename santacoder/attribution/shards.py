"""Several indexes queried as one, each in a thread of its own; ``on_ray.py`` does the same on a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from santacoder.attribution.query import AttributionIndex
from santacoder.attribution.spans import Searched, Source, Span, merged
from santacoder.errors import AttributionError


class Shards:
    """The indexes in a folder: its own, or those of its subfolders. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        """Open all indexes in ``folder``.

        Raises:
            AttributionError: there is none, or one of them cannot be used.
        """
        self._indexes = [AttributionIndex(shard) for shard in shard_folders(folder)]
        self._pool = ThreadPoolExecutor(len(self._indexes), "attribution") if len(self._indexes) > 1 else None
        self.searched = total([index.searched for index in self._indexes])

    def find(self, text: str, language: str | None = None) -> list[Span]:
        """The spans from all indexes; see :meth:`AttributionIndex.find`.

        Raises:
            AttributionError: the text cannot be looked up, or a corpus was changed.
        """
        if self._pool is None:
            return self._indexes[0].find(text, language)
        return merged(self._pool.map(lambda index: index.find(text, language), self._indexes))

    def original(self, source: Source) -> str | None:
        """The original lines, or None if the index has no text.

        Raises:
            AttributionError: the corpus was changed since it was indexed.
        """
        return self._indexes[source.shard].original(source)


def shard_folders(folder: Path) -> list[Path]:
    """``folder``, or its subfolders that contain an index.

    Raises:
        AttributionError: there is no index.
    """
    if (folder / "index.bin").exists():
        return [folder]
    found = sorted(path.parent for path in folder.glob("*/index.bin"))
    if not found:
        raise AttributionError(f"{folder} contains no attribution index. Create one with python -m train.data index.")
    return found


def total(parts: Iterable[Searched]) -> Searched:
    """The totals of several indexes; a run length is guaranteed if every index guarantees it."""
    first, *others = parts
    for part in others:
        first = replace(
            first,
            files=first.files + part.files,
            bytes=first.bytes + part.bytes,
            packages=first.packages + part.packages,
            languages=tuple(sorted({*first.languages, *part.languages})),
            guaranteed_tokens=max(first.guaranteed_tokens, part.guaranteed_tokens),
            confirmed=first.confirmed and part.confirmed,
        )
    return first
