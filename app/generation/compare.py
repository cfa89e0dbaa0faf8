"""Running one task on several revisions concurrently."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

from app.generation.run import generate
from app.generation.task import Failed, Loading, Progress, Task, Written
from app.model_pool import Models
from santacoder.sampling import MAX_SEED

# each update redraws all texts: with sixteen per second, a slow browser is too busy to react to Stop
_SECONDS_BETWEEN_UPDATES = 0.15


def side_by_side(models: Models, revisions: Sequence[tuple[str, str]], task: Task) -> Iterator[list[Progress]]:
    """The progress of each of ``revisions`` (model, branch or commit), a few times a second, until all are done.

    Without a seed, one is drawn for all. Closing the iterator cancels the running requests.
    """
    if task.sampling.seed is None:
        task = replace(task, sampling=replace(task.sampling, seed=secrets.randbelow(MAX_SEED + 1)))
    latest: list[Progress] = [Loading(f"{repo_id}@{revision}", 0.0) for repo_id, revision in revisions]
    stopped = threading.Event()

    def follow(index: int) -> None:
        for progress in generate(models, *revisions[index], task):
            latest[index] = progress
            if stopped.is_set():
                return  # closes the iterator

    threads = [threading.Thread(target=follow, args=[index], daemon=True) for index in range(len(revisions))]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(_SECONDS_BETWEEN_UPDATES)
                yield list(latest)
        yield list(latest)
    finally:
        stopped.set()


def is_running(progress: Progress) -> bool:
    return isinstance(progress, Loading) or (isinstance(progress, Written) and not progress.finished)


def as_stopped(progress: Progress) -> Progress:
    """The progress to keep when a comparison is stopped."""
    match progress:
        case Written(generation, notices, _):
            return Written(generation, notices, finished=True)
        case Loading():
            return Failed("Stopped before anything was written.")
    return progress
