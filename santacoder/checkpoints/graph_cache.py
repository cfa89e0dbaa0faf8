"""ONNX graphs of Hub commits in the user's cache, by commit and precision. They can be written again at any time.

``models--ORG--NAME/SHA/`` contains a commit's graphs, with the names that they have in a revision's folder ``onnx``.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from santacoder.checkpoints import hub
from santacoder.checkpoints.adapted import is_adapted
from santacoder.errors import CheckpointError
from santacoder.paths import cache_folder

MAX_BYTES = 12_000_000_000
"""The default limit: the eight published branches, with a byte for each of 1.1 to 1.3 B weights, take some 9.5 GB."""


@dataclass(frozen=True)
class CachedGraph:
    """A graph: ``used`` is when it was last opened, in seconds since the epoch."""

    repo_id: str
    sha: str
    file: Path
    n_bytes: int
    used: float


def default_folder() -> Path:
    return cache_folder() / "graphs"


def is_cached(snapshot: Path) -> bool:
    """Whether a snapshot is one of the user's caches; to other revisions graphs are added as commits."""
    return snapshot.is_relative_to(hub.cache()) or is_adapted(snapshot)


def folder_of(snapshot: Path, folder: Path) -> Path:
    """Where the graphs of a snapshot are kept in ``folder``."""
    return folder / snapshot.parent.parent.name / snapshot.name


def cached_graphs(folder: Path) -> list[CachedGraph]:
    """The graphs in ``folder``, the most recently used first."""
    found = []
    for graph in folder.glob("models--*--*/*/model*.onnx"):
        sha, repository = graph.parent.name, graph.parent.parent.name
        if sha.startswith("."):  # being written
            continue
        repo_id = repository.removeprefix("models--").replace("--", "/", 1)
        n_bytes = sum(file.stat().st_size for file in _files(graph))
        found.append(CachedGraph(repo_id, sha, graph, n_bytes, graph.stat().st_mtime))
    return sorted(found, key=lambda graph: -graph.used)


def mark_used(graph: Path) -> None:
    with suppress(OSError):  # a folder that only others may write to
        os.utime(graph)


def drop(graph: CachedGraph) -> None:
    """Delete a graph. A process that has it open keeps it until it ends."""
    for file in _files(graph.file):
        file.unlink(missing_ok=True)
    with suppress(OSError):  # other graphs are in it
        graph.file.parent.rmdir()


def make_room(folder: Path, n_bytes: int, most_bytes: int) -> None:
    """Drop the least recently used graphs until ``n_bytes`` more are within the limit.

    Raises:
        CheckpointError: the limit or the disk is too small.
    """
    if n_bytes > most_bytes:
        raise CheckpointError(
            f"The graph needs {n_bytes / 1e9:.1f} GB, more than the limit of {most_bytes / 1e9:.1f} GB for graphs."
        )
    _remove_unfinished(folder)
    held = cached_graphs(folder)
    while held and sum(graph.n_bytes for graph in held) + n_bytes > most_bytes:
        drop(held.pop())
    existing = next(path for path in [folder, *folder.parents] if path.exists())
    if n_bytes > (free := shutil.disk_usage(existing).free):
        raise CheckpointError(
            f"The graph needs {n_bytes / 1e9:.1f} GB, but the disk of the user's cache has {free / 1e9:.1f} GB left."
        )


def _remove_unfinished(folder: Path) -> None:
    """Remove what processes have left that were killed while they wrote a graph."""
    for unfinished in folder.glob("models--*--*/.*-*"):
        if unfinished.is_dir():
            with suppress(Timeout), FileLock(lock_of(unfinished), timeout=0):
                shutil.rmtree(unfinished)


def lock_of(unfinished: Path) -> Path:
    """The lock that a process holds while it writes into ``unfinished``."""
    return unfinished.with_name(f"{unfinished.name}.lock")


def _files(graph: Path) -> list[Path]:
    return [file for file in (graph, graph.with_name(f"{graph.name}_data")) if file.is_file()]
