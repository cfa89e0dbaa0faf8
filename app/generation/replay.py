"""One prompt, continued by every commit of a branch."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from app.generation.records import Generation
from app.generation.run import generate
from app.generation.task import Failed, Loading, Task, Written
from app.model_pool import Models

_BYTES_REMEMBERED = 16 * 1024 * 1024
"""Size of the cache, as JSON; as objects it takes four times as much."""


@dataclass(frozen=True)
class Replay:
    """The result of each commit so far: a generation, a message why there is none, or None.

    ``current`` is the index of the running commit; ``doing`` is a message while it has not started to generate.
    ``notice`` says why the replay ended there, if it did not reach the last commit's end.
    """

    texts: tuple[Generation | str | None, ...]
    current: int
    finished: bool
    doing: str = ""
    notice: str = ""


def as_ended(replay: Replay, sentence: str) -> Replay:
    """The final state of a replay that was stopped early, with ``sentence`` as the reason."""
    return replay if replay.finished else replace(replay, finished=True, notice=sentence)


class Replays:
    """Runs replays and caches the results of each commit: at temperature 0 they would be the same again."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._known: OrderedDict[tuple[str, str, Task], tuple[Generation, int]] = OrderedDict()
        self._n_bytes = 0
        self._lock = threading.Lock()

    def replay(self, repo_id: str, shas: Sequence[str], task: Task) -> Iterator[Replay]:
        """Run ``task``, whose temperature is 0, on one commit after another. Closing the iterator cancels the run."""
        texts: list[Generation | str | None] = [None] * len(shas)
        for number, sha in enumerate(shas):
            doing = ""
            for doing, text in self._write(repo_id, sha, task):
                texts[number] = text
                yield Replay(tuple(texts), number, False, doing)
        yield Replay(tuple(texts), len(shas) - 1, True)

    def _write(self, repo_id: str, sha: str, task: Task) -> Iterator[tuple[str, Generation | str | None]]:
        """Status messages and the result so far."""
        key = (repo_id, sha, task)
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
        if known is not None:
            yield "", known[0]
            return
        for progress in generate(self._models, repo_id, sha, task):
            match progress:
                case Loading(name, share, doing):
                    yield f"{doing} {name}: {100 * share:.0f} %", None
                case Failed(sentence):
                    yield "", sentence
                case Written(generation, _, finished):
                    yield "", generation
                    if finished:
                        self._remember(key, generation)

    def _remember(self, key: tuple[str, str, Task], generation: Generation) -> None:
        n_bytes = len(generation.to_json())
        with self._lock:
            if key in self._known:
                return
            self._known[key] = generation, n_bytes
            self._n_bytes += n_bytes
            while self._n_bytes > _BYTES_REMEMBERED:
                _, (_, dropped) = self._known.popitem(last=False)
                self._n_bytes -= dropped
