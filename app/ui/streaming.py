"""From a request to updates of the page: text as it comes, the timing line, the two buttons."""

from __future__ import annotations

import html
import time
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import gradio as gr

from app.models import Models, ServedModel
from santacoder.checkpoints import CheckpointError
from santacoder.engine.engine import EngineBusy, Stream
from santacoder.engine.events import Finished
from santacoder.engine.request import CompletionRequest

# more often than this a browser spends its time on redrawing the editor
_SECONDS_BETWEEN_UPDATES = 0.04
_SECONDS_BETWEEN_LOADING_UPDATES = 0.1
_REASONS = {"stop": "the model ended it", "length": "reached the limit of new tokens", "cancelled": "stopped"}


@dataclass(frozen=True)
class Progress:
    """What the editor holds now (None leaves it as it is), and the line below it, as HTML."""

    code: str | None
    status: str
    running: bool


def stream_progress(models: Models, repo_id: str, revision: str, request: CompletionRequest) -> Iterator[Progress]:
    """Run ``request`` and report 25 times a second at most, with the text between its prefix and its suffix.

    Closing the iterator cancels the request.
    """
    started = time.perf_counter()
    try:
        served = yield from _acquire(models, repo_id, revision)
    except CheckpointError as error:
        yield failure(error)
        return
    try:
        yield from _stream(served, request, started)
    except (EngineBusy, ValueError) as error:
        yield failure(error)
    finally:
        served.release()


def _acquire(models: Models, repo_id: str, revision: str) -> Generator[Progress, None, ServedModel]:
    """The model, after reports of its loading where that takes long enough to be seen."""
    shares = [0.0]
    thread = ThreadPoolExecutor(1)
    loading = thread.submit(models.acquire, repo_id, revision, shares.append)
    thread.shutdown(wait=False)
    try:
        while wait([loading], _SECONDS_BETWEEN_LOADING_UPDATES).not_done:
            yield Progress(None, _lines([f"loading {repo_id}@{revision}: {shares[-1]:.0%}"]), running=True)
    except GeneratorExit:  # stopped; what has been loaded stays, but nobody here uses it
        loading.add_done_callback(_let_go)
        raise
    return loading.result()


def _let_go(loading: Future[ServedModel]) -> None:
    if loading.exception() is None:
        loading.result().release()


def _stream(served: ServedModel, request: CompletionRequest, started: float) -> Iterator[Progress]:
    stream = served.engine.submit(request)
    timing = _Timing(started)
    code, reported = request.prefix, 0.0
    suffix = request.suffix or ""
    try:
        for event in stream:
            code += event.text
            if isinstance(event, Finished):
                yield Progress(code + suffix, _final_line(event, timing, served, stream), running=False)
                return
            timing.count_token()
            if time.perf_counter() - reported >= _SECONDS_BETWEEN_UPDATES:
                yield Progress(
                    code + suffix, _lines([timing.summary(), *served.notices, *stream.notices]), running=True
                )
                reported = time.perf_counter()
    finally:
        stream.cancel()


def failure(error: Exception) -> Progress:
    """What was wrong, as a sentence; the editor stays as it is."""
    return Progress(None, _error_line(str(error)), running=False)


def buttons(running: bool) -> tuple[gr.Button, gr.Button]:
    """Run and Stop, as they are while something runs or not."""
    return gr.Button(interactive=not running), gr.Button(interactive=running)


class _Timing:
    """When the first and the latest token came."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._first: float | None = None
        self._latest = started
        self._count = 0

    def count_token(self) -> None:
        self._latest = time.perf_counter()
        self._first = self._first or self._latest
        self._count += 1

    def summary(self) -> str:
        if self._first is None:
            return "no token yet"
        parts = [f"first token {(self._first - self._started) * 1000:.0f} ms"]
        if self._count > 1:
            parts.append(f"{(self._count - 1) / (self._latest - self._first):.0f} tokens/s")
        return " · ".join([*parts, f"{self._count} token{'s' if self._count > 1 else ''}"])


def _final_line(event: Finished, timing: _Timing, served: ServedModel, stream: Stream) -> str:
    if event.reason == "error":
        return _error_line(event.message)
    summary = f"{timing.summary()} · {_REASONS[event.reason]} · seed {stream.seed} · {served.label}"
    return _lines([summary, *served.notices, *stream.notices])


def _error_line(sentence: str) -> str:
    return f'<p class="status error" role="alert">{html.escape(sentence)}</p>'


def _lines(sentences: list[str]) -> str:
    return "".join(f'<p class="status">{html.escape(sentence)}</p>' for sentence in sentences)
