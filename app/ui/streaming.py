"""From a request to updates of the page: text as it comes, the timing line, the two buttons."""

from __future__ import annotations

import html
import time
from collections.abc import Iterator
from dataclasses import dataclass

import gradio as gr

from app.models import Models
from santacoder.checkpoints import CheckpointError
from santacoder.engine.engine import EngineBusy
from santacoder.engine.events import Finished
from santacoder.engine.request import CompletionRequest

# more often than this a browser spends its time on redrawing the editor
_SECONDS_BETWEEN_UPDATES = 0.04
_REASONS = {"stop": "the model ended it", "length": "reached the limit of new tokens", "cancelled": "stopped"}


@dataclass(frozen=True)
class Progress:
    """Text written so far and the line below the editor, as HTML."""

    text: str
    status: str
    running: bool


def stream_progress(models: Models, repo_id: str, revision: str, request: CompletionRequest) -> Iterator[Progress]:
    """Run ``request`` and report 25 times a second at most; closing the iterator cancels the request."""
    started = time.perf_counter()
    try:
        served = models.get(repo_id, revision)
        stream = served.engine.submit(request)
    except (CheckpointError, EngineBusy, ValueError) as error:
        yield Progress("", error_line(str(error)), running=False)
        return
    timing = _Timing(started)
    text, reported = "", 0.0
    try:
        for event in stream:
            text += event.text
            if isinstance(event, Finished):
                yield Progress(text, _final_line(event, timing, served.label, stream.seed, stream.notices), False)
                return
            timing.count_token()
            if time.perf_counter() - reported >= _SECONDS_BETWEEN_UPDATES:
                yield Progress(text, _line([timing.summary(), *stream.notices]), running=True)
                reported = time.perf_counter()
    finally:
        stream.cancel()


def error_line(sentence: str) -> str:
    """A sentence about what was wrong, for the line below the editor."""
    return f'<p class="status error" role="alert">{html.escape(sentence)}</p>'


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


def _final_line(event: Finished, timing: _Timing, label: str, seed: int, notices: tuple[str, ...]) -> str:
    if event.reason == "error":
        return error_line(event.message)
    return _line([f"{timing.summary()} · {_REASONS[event.reason]} · seed {seed} · {label}", *notices])


def _line(sentences: list[str]) -> str:
    return "".join(f'<p class="status">{html.escape(sentence)}</p>' for sentence in sentences)
