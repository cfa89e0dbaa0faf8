"""Running a generation task and reporting its progress: candidates are generated gap after gap."""

from __future__ import annotations

import queue
import secrets
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace

from app.errors import sentence_for
from app.generation.continuation import Opening, Place, alternatives, request_after
from app.generation.ranking import ranked
from app.generation.records import Candidate, Completion, Generation, Token
from app.generation.task import Failed, Loading, Progress, Task, Written
from app.model_opening import Stage
from app.model_pool import Models, ServedModel
from santacoder.engine.accumulator import Accumulator
from santacoder.engine.engine import Engine
from santacoder.engine.events import Event, Finished, FinishReason, TokenEvent
from santacoder.engine.request import CompletionRequest
from santacoder.engine.stream import Stream
from santacoder.engine.token_healing import is_on_by_default
from santacoder.errors import UserError
from santacoder.sampling import MAX_SEED

TOP_LOGPROBS = 5
"""Number of alternatives that are stored for each token."""
# The browser redraws the whole text and its tokens at each update, so more frequent updates would block a slow browser.
_SECONDS_BETWEEN_FIRST_UPDATES, _SECONDS_BETWEEN_UPDATES = 0.04, 0.1
_SECONDS_BETWEEN_LOADING_UPDATES = 0.1
_SECONDS_BETWEEN_SIGNS_OF_LIFE = 0.25


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
        self._order = task.order(served.engine.fim_order)
        self._task = replace(task, fim_order=self._order)
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
            replace(task, sampling=replace(task.sampling, seed=seed)),
            opening,
            lambda event: self._events.put((index, event, time.perf_counter())),
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
            fim_order=self._order,
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
            said.append(_how_many_differ(n_written, len(candidates)))
        return Written(generation, tuple(said), finished)


def _how_many_differ(n_written: int, n_different: int) -> str:
    if n_different == 1:
        return f"All {n_written} candidates are the same."
    return f"{n_different} different texts among {n_written} candidates; the most likely is first."


class CandidateDraft:
    """A candidate of ``task`` in progress, gap after gap. ``add`` processes an event of the engine, which hands it to
    ``deliver`` on its own thread."""

    def __init__(self, engine: Engine, task: Task, opening: Opening, deliver: Callable[[Event], None]) -> None:
        self._engine = engine
        self._task = task
        self._deliver = deliver
        self._completions = list(opening.completions)
        self._opening: tuple[Token, ...] = ()  # the fixed beginning of the current gap
        self._written: Accumulator | None = None  # what follows it; None once all gaps are filled
        self._stream: Stream | None = None
        self.n_prompt = 0
        self.notices: tuple[str, ...] = ()
        self._begin(opening.tokens)

    @property
    def finished(self) -> bool:
        return self._written is None

    @property
    def candidate(self) -> Candidate:
        """The candidate so far; an unfinished gap counts as cancelled."""
        unfinished = [] if self.finished else [self._completion("cancelled")]
        return Candidate((*self._completions, *unfinished))

    def _begin(self, opening: tuple[Token, ...] = ()) -> None:
        """Start generating the next gap, after the tokens of ``opening``.

        Raises:
            EngineBusy: the queue is full.
            UserError: the request cannot be run; the message is a sentence.
        """
        tokenizer = self._engine.tokenizer
        request, self._opening = self._request(opening)
        begun = [token.id for token in self._opening]
        self._written = Accumulator(tokenizer, begun, crlf=request.crlf, with_respelled=True)
        if begun and begun[-1] in tokenizer.special_ids:
            self._deliver(Finished("stop"))
            return
        self._stream = self._engine.submit(request, self._deliver, client=self._task.client, session=self._task.session)
        self.notices = (*self.notices, *(notice for notice in self._stream.notices if notice not in self.notices))
        self.n_prompt = self.n_prompt or self._stream.n_prompt

    def add(self, event: Event) -> None:
        """Process ``event``; if it ends a gap, start the next one.

        Raises:
            EngineBusy: the queue is full.
            UserError: the model could not be run, or not for the next gap; the message is a sentence.
        """
        assert self._written is not None
        self._written.add(event)
        if not isinstance(event, Finished):
            return
        if event.reason == "error":
            raise UserError(event.message)
        self._completions.append(replace(self._completion(event.reason), ended_by=event.ended_by, cut=event.cut))
        self._written = None
        if len(self._completions) < max(1, len(self._task.parts) - 1):
            self._begin()

    def cancel(self) -> None:
        if self._stream is not None:
            self._stream.cancel()

    def _request(self, opening: tuple[Token, ...]) -> tuple[CompletionRequest, tuple[Token, ...]]:
        """The request for the next gap, and ``opening`` with the text that each of its tokens adds."""
        gap = len(self._completions)
        before = [
            text for pair in zip(self._task.parts, self._completions, strict=False) for text in (pair[0], pair[1].text)
        ]
        prefix = "".join([*before, self._task.parts[gap]])
        suffix = "".join(self._task.parts[gap + 1 :]) if len(self._task.parts) > 1 else None
        # only what the user has typed may end inside a token
        healing = self._task.sampling.token_healing and is_on_by_default(self._task.parts[gap], suffix)
        sampling = replace(self._task.sampling, token_healing=healing)
        if suffix is not None:  # the code after a gap ends it
            sampling = replace(sampling, stop_at="none")
        request = CompletionRequest(
            prefix, suffix, sampling, self._task.fim_order, language=self._task.language, fit_gap=suffix is not None
        )
        return request_after(opening, request, self._engine) if opening else (request, ())

    def _completion(self, reason: FinishReason) -> Completion:
        """The current gap so far: its fixed beginning, then the generated text."""
        assert self._written is not None
        text = "".join(token.text for token in self._opening) + self._written.text
        n_accepted = self._stream.n_accepted if self._stream else 0
        tokens = (*self._opening, *self._tokens())
        return Completion(text, tokens, reason, self._task.sampling.seed or 0, n_accepted=n_accepted)

    def _tokens(self) -> Iterator[Token]:
        assert self._written is not None
        special_ids = self._engine.tokenizer.special_ids
        for index, token in enumerate(self._written.tokens):
            text = "" if token.id in special_ids else token.text
            respelled = index < self._written.n_respelled
            yield Token(text, token.id, token.logprob, alternatives(token), respelled)


def _acquire(models: Models, repo_id: str, revision: str) -> Generator[Progress, None, ServedModel]:
    """Acquire the model, yielding the progress of loading if it takes noticeably long."""
    stages = [Stage(0.0)]
    thread = ThreadPoolExecutor(1)
    loading = thread.submit(models.acquire, repo_id, revision, stages.append)
    thread.shutdown(wait=False)
    try:
        while wait([loading], _SECONDS_BETWEEN_LOADING_UPDATES).not_done:
            yield Loading(f"{repo_id}@{revision}", *stages[-1])
    except GeneratorExit:  # stopped: the loaded model stays in the pool, but is not used here
        loading.add_done_callback(_let_go)
        raise
    return loading.result()


def _let_go(loading: Future[ServedModel]) -> None:
    if loading.exception() is None:
        loading.result().release()
