"""Running a generation task and reporting its progress."""

from __future__ import annotations

import queue
import secrets
import time
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

from app.drafts import CandidateDraft, Opening, Place
from app.errors import sentence_for
from app.generation import Candidate, Generation, Language, Pane
from app.models import Models, ServedModel
from app.ranking import ranked
from santacoder.engine.events import Event, TokenEvent
from santacoder.fim import FimOrder
from santacoder.sampling import MAX_SEED, SamplingParams

TOP_LOGPROBS = 5
"""Number of alternatives that are stored for each token."""
# The browser redraws the whole text and its tokens at each update, so more frequent updates would block a slow browser.
_SECONDS_BETWEEN_FIRST_UPDATES, _SECONDS_BETWEEN_UPDATES = 0.04, 0.1
_SECONDS_BETWEEN_LOADING_UPDATES = 0.1
_SECONDS_BETWEEN_SIGNS_OF_LIFE = 0.25


@dataclass(frozen=True)
class Task:
    """A task to generate ``n`` candidates, either after the code or for the gaps between its ``parts``.

    With ``sampling.seed``, candidate number i has the seed ``seed + i``, so that it can be reproduced alone. ``client``
    is used to schedule the texts of several clients fairly, and does not count for equality.
    """

    pane: Pane
    language: Language
    parts: tuple[str, ...]
    sampling: SamplingParams
    fim_order: FimOrder = "psm"
    n: int = 1
    client: str = field(default="", compare=False)

    @property
    def n_texts(self) -> int:
        """The number of generated texts: one for each gap of each candidate."""
        return self.n * max(1, len(self.parts) - 1)


@dataclass(frozen=True)
class Loading:
    """The model is being loaded; ``share`` increases from 0 to 1."""

    name: str
    share: float


@dataclass(frozen=True)
class Written:
    """The generation so far, and notices for the user."""

    generation: Generation
    notices: tuple[str, ...]
    finished: bool


@dataclass(frozen=True)
class Failed:
    """The task failed; ``sentence`` says why."""

    sentence: str


Progress = Loading | Written | Failed


def as_ended(progress: Progress, sentence: str) -> Progress:
    """The final state of a task that was stopped early, with ``sentence`` as the reason."""
    match progress:
        case Written(generation, notices, finished):
            return progress if finished else Written(generation, (*notices, sentence), finished=True)
        case Loading():
            return Failed(sentence)
    return progress


def generate(models: Models, repo_id: str, revision: str, task: Task) -> Iterator[Progress]:
    """Run ``task``, with at most 25 updates in the first second and 10 per second afterwards.

    Closing the iterator cancels the task.
    """
    started = time.perf_counter()
    seed = task.sampling.seed if task.sampling.seed is not None else secrets.randbelow(MAX_SEED + 1)
    task = replace(task, sampling=replace(task.sampling, seed=seed, top_logprobs=TOP_LOGPROBS))
    try:
        served = yield from _acquire(models, repo_id, revision)
        try:
            n = 1 if task.sampling.temperature == 0 else task.n  # without randomness, all candidates would be the same
            yield from _Writing(served, task, [Opening()] * n, started).progress()
        finally:
            served.release()
    except Exception as error:
        yield Failed(sentence_for(error))


def continue_from(models: Models, generation: Generation, place: Place, client: str = "") -> Iterator[Progress]:
    """Extend ``generation`` by a candidate that continues from another token.

    The candidate consists of the one at ``place`` up to its token, the alternative, and what the same commit generates
    after it. Closing the iterator cancels the task.
    """
    started = time.perf_counter()
    try:
        opening = place.opening(generation)
        task = Task(
            generation.pane,
            generation.language,
            generation.parts,
            generation.sampling,
            generation.fim_order,
            client=client,
        )
        served = yield from _acquire(models, generation.repo_id, generation.sha)
        try:
            writing = _Writing(served, task, [opening], started, generation.candidates)
            for progress in writing.progress():
                yield replace(progress, generation=replace(progress.generation, revision=generation.revision))
        finally:
            served.release()
    except Exception as error:
        yield Failed(sentence_for(error))


class _Writing:
    """Candidates that are being generated on one model, in addition to those in ``before``."""

    def __init__(
        self,
        served: ServedModel,
        task: Task,
        openings: list[Opening],
        started: float,
        before: tuple[Candidate, ...] = (),
    ) -> None:
        self._served = served
        self._task = task
        self._before = before
        self._started = started
        self._first_at: float | None = None
        self._last_at = started
        self._n_tokens = 0
        self._events: queue.SimpleQueue[tuple[int, Event, float]] = queue.SimpleQueue()
        self._drafts: list[CandidateDraft] = []
        self._openings = openings

    def progress(self) -> Iterator[Written]:
        """Run the task and yield updates.

        Raises:
            EngineBusy: the queue is full.
            UserError: the task cannot be run; the message is a sentence.
        """
        reported = 0.0
        try:
            for index, opening in enumerate(self._openings):
                self._drafts.append(self._draft(index, opening))
            while not all(draft.finished for draft in self._drafts):
                try:
                    index, event, at = self._events.get(timeout=_SECONDS_BETWEEN_SIGNS_OF_LIFE)
                except queue.Empty:
                    yield self._written(finished=False)  # lets a caller stop without waiting for a token
                    continue
                self._count(event, at)
                self._drafts[index].add(event)
                is_young = at - (self._first_at or at) < 1
                pause = _SECONDS_BETWEEN_FIRST_UPDATES if is_young else _SECONDS_BETWEEN_UPDATES
                if self._n_tokens and at - reported >= pause:
                    yield self._written(finished=False)
                    reported = time.perf_counter()
            yield self._written(finished=True)
        finally:
            for draft in self._drafts:
                draft.cancel()

    def _draft(self, index: int, opening: Opening) -> CandidateDraft:
        task = self._task
        seed = ((task.sampling.seed or 0) + len(self._before) + index) % (MAX_SEED + 1)
        return CandidateDraft(
            self._served.engine,
            task.parts,
            replace(task.sampling, seed=seed),
            task.fim_order,
            task.language,
            opening,
            lambda event: self._events.put((index, event, time.perf_counter())),
            task.client,
        )

    def _count(self, event: Event, at: float) -> None:
        if isinstance(event, TokenEvent):
            self._last_at = at
            self._first_at = self._first_at or at
            self._n_tokens += 1

    def _written(self, *, finished: bool) -> Written:
        candidates = tuple(draft.candidate for draft in self._drafts)
        n_written = len(candidates)
        if finished and not self._before:
            candidates = ranked(candidates, self._task.parts)
        first_at = self._first_at or self._last_at
        span = self._last_at - first_at
        generation = Generation(
            pane=self._task.pane,
            language=self._task.language,
            parts=self._task.parts,
            sampling=self._task.sampling,
            fim_order=self._task.fim_order,
            repo_id=self._served.repo_id,
            revision=self._served.revision,
            sha=self._served.sha,
            runner=self._served.runner_label,
            candidates=(*self._before, *candidates),
            n_prompt=self._drafts[0].n_prompt,
            seconds_to_first_token=first_at - self._started,
            tokens_per_second=(self._n_tokens - 1) / span if span > 0 else 0.0,
        )
        said = [*self._served.notices, *self._drafts[0].notices]
        if self._task.n > len(self._drafts):
            said.append("At temperature 0 all candidates are the same, so only one was generated.")
        if len(candidates) < n_written:
            said.append(f"{n_written} candidates, of which {len(candidates)} differ; the most likely is first.")
        return Written(generation, tuple(said), finished)


def _acquire(models: Models, repo_id: str, revision: str) -> Generator[Progress, None, ServedModel]:
    """Acquire the model, yielding the progress of loading if it takes noticeably long."""
    shares = [0.0]
    thread = ThreadPoolExecutor(1)
    loading = thread.submit(models.acquire, repo_id, revision, shares.append)
    thread.shutdown(wait=False)
    try:
        while wait([loading], _SECONDS_BETWEEN_LOADING_UPDATES).not_done:
            yield Loading(f"{repo_id}@{revision}", shares[-1])
    except GeneratorExit:  # stopped: the loaded model stays in the pool, but is not used here
        loading.add_done_callback(_let_go)
        raise
    return loading.result()


def _let_go(loading: Future[ServedModel]) -> None:
    if loading.exception() is None:
        loading.result().release()
