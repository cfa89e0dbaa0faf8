"""Generation of many completions with the engine, saved as they finish."""

from __future__ import annotations

import queue
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from tqdm import tqdm

from santacoder.engine.engine import Engine, EngineBusy
from santacoder.engine.events import Event, Finished
from santacoder.engine.request import CompletionRequest
from santacoder.fim import FimOrder
from santacoder.sampling import SamplingParams
from train.evaluate.journal import Journal

Key = TypeVar("Key")


@dataclass(frozen=True)
class Prompt:
    """The prompt of a task. With a ``suffix``, the model infills between prefix and suffix."""

    name: str
    prefix: str
    suffix: str | None = None
    stop: tuple[str, ...] = ()
    # the digest of the tasks excludes it: the tasks are the same in either order
    order: FimOrder = field(default="psm", repr=False)


def generate(
    engine: Engine,
    prompts: Sequence[Prompt],
    n_samples: int,
    sampling: SamplingParams,
    samples: Journal,
) -> dict[tuple[str, int], str]:
    """Generate ``n_samples`` completions of each prompt, by name and number, except for those already in ``samples``.

    The samples of a prompt are consecutive, so that an engine with a prompt cache prefills it once. The seed of each
    sample depends only on ``sampling.seed``, the prompt's name and the number.

    Raises:
        RuntimeError: the model could not be run.
    """
    completions = {(entry["task"], entry["sample"]): entry["completion"] for entry in samples.entries}
    missing = [(p, number) for p in prompts for number in range(n_samples) if (p.name, number) not in completions]

    def requests() -> Iterator[tuple[tuple[str, int], CompletionRequest]]:
        for prompt, number in missing:
            seed = zlib.crc32(f"{sampling.seed}/{prompt.name}/{number}".encode())
            params = replace(sampling, seed=seed, stop=prompt.stop)
            yield (prompt.name, number), CompletionRequest(prompt.prefix, prompt.suffix, params, prompt.order)

    with tqdm(total=len(prompts) * n_samples, initial=len(completions), desc="generating", unit=" samples") as bar:
        for (name, number), text in complete(engine, requests()):
            samples.append({"task": name, "sample": number, "completion": text})
            completions[name, number] = text
            bar.update()
    return completions


def complete(engine: Engine, requests: Iterable[tuple[Key, CompletionRequest]]) -> Iterator[tuple[Key, str]]:
    """Yield the texts for ``requests`` in order. The engine's queue is kept full, so that no slot is idle.

    Raises:
        RuntimeError: the model could not be run.
    """
    texts: deque[tuple[Key, _Text]] = deque()
    for key, request in requests:
        while True:
            text = _Text()
            try:
                engine.submit(request, text.add)
                break
            except EngineBusy as error:
                if not texts:
                    raise RuntimeError(str(error)) from error
                yield _finished(*texts.popleft())
        texts.append((key, text))
    while texts:
        yield _finished(*texts.popleft())


class _Text:
    """Collects a completion on the engine's thread. Waking this thread for every token would slow the engine down."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._ended: queue.SimpleQueue[Finished] = queue.SimpleQueue()

    def add(self, event: Event) -> None:
        self._parts.append(event.text)
        if isinstance(event, Finished):
            self._ended.put(event)

    def wait(self) -> str:
        """Wait for the complete text.

        Raises:
            RuntimeError: the model could not be run.
        """
        end = self._ended.get()
        if end.reason in ("error", "cancelled"):
            raise RuntimeError(end.message or "The model was unloaded.")
        return "".join(self._parts)


def _finished(key: Key, text: _Text) -> tuple[Key, str]:
    return key, text.wait()
