"""Client requests in progress: from the engine's events to pieces of text."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from fastapi import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.api.error_responses import ClientGone
from app.errors import ApiError
from app.model_pool import ServedModel
from santacoder.engine.accumulator import Accumulator, Token
from santacoder.engine.engine import Stream
from santacoder.engine.events import Event, Finished, FinishReason, TokenEvent
from santacoder.engine.request import CompletionRequest
from santacoder.tokenizer import Tokenizer

T = TypeVar("T")


class Run:
    """Texts in progress on one model, which are ended after ``seconds`` (0: never).

    Closing it cancels unfinished texts, releases the model and calls ``on_close``. The texts of several clients are
    scheduled fairly.
    """

    def __init__(self, model: ServedModel, seconds: float, on_close: Callable[[], None], client: str = "") -> None:
        self.model = model
        self.texts: list[Text] = []
        self.started = time.perf_counter()
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[tuple[int, Event, float]] = asyncio.Queue()
        self._seconds = seconds
        self._is_late = False
        self._timer = self._loop.call_later(seconds, self._cut_all) if seconds else None
        self._on_close = on_close
        self._client = client
        self._is_closed = False

    def submit(self, requests: Sequence[CompletionRequest]) -> None:
        """Start all of ``requests``."""
        for index, request in enumerate(requests):
            stream = self.model.engine.submit(request, self._deliver(index), client=self._client)
            self.texts.append(Text(index, stream, self.model.engine.tokenizer))

    async def pieces(self) -> AsyncIterator[Piece]:
        """Yield the pieces of all texts until every text has ended.

        Raises:
            ApiError: the model could not be run, or the time limit was reached before a text had begun.
        """
        n_left = len(self.texts)
        while n_left:
            index, event, at = await self._events.get()
            text = self.texts[index]
            piece = text.add(event, at)
            if piece.reason and self._is_late and not text.n_written:
                raise ApiError(503, f"The request was still queued after {self._seconds:g} s; try again later.")
            n_left -= piece.reason is not None
            if piece.text or piece.tokens or piece.reason:
                yield piece

    async def finish(self, enough: Callable[[Piece], bool]) -> list[Text]:
        """Wait until all texts have ended, and return them. A text is ended early once ``enough`` returns true for a
        piece.

        Raises:
            ApiError: the model could not be run.
        """
        async for piece in self.pieces():
            if enough(piece):
                self.texts[piece.index].cut()
        return self.texts

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        if self._timer:
            self._timer.cancel()
        for text in self.texts:
            text.stream.cancel()
        self.model.release()
        self._on_close()

    def _cut_all(self) -> None:
        self._is_late = True
        for text in self.texts:
            text.cut()

    def _deliver(self, index: int) -> Callable[[Event], None]:
        """A function that passes events from the engine's thread to the event loop."""

        def deliver(event: Event) -> None:
            # the time is taken here, because the loop may be busy when the event arrives
            arrival = (index, event, time.perf_counter())
            with suppress(RuntimeError):  # the loop has been closed, so nobody is waiting
                self._loop.call_soon_threadsafe(self._events.put_nowait, arrival)

        return deliver


class Text:
    """A text in progress."""

    def __init__(self, index: int, stream: Stream, tokenizer: Tokenizer) -> None:
        self.index = index
        self.stream = stream
        self.reason: FinishReason | None = None
        self.ids: list[int] = []
        """All generated token ids, including those of a stop sequence."""
        self.total_logprob = 0.0
        self.last_logprob = 0.0
        self._is_cut = False
        self.first_at = self.last_at = time.perf_counter()
        self._special_ids = tokenizer.special_ids
        self._accumulator = Accumulator(tokenizer, stream.prompt_end, crlf=stream.crlf)

    @property
    def text(self) -> str:
        return self._accumulator.text

    @property
    def behind(self) -> str:
        """The text generated after ``text``, beginning with the stop sequence that ended it."""
        return self._accumulator.behind

    @property
    def n_echoed(self) -> int:
        """The number of prompt tokens at the beginning of ``tokens``."""
        return self.stream.n_prompt if self.stream.echo else 0

    @property
    def n_written(self) -> int:
        return len(self.ids)

    @property
    def last_id(self) -> int:
        return self.ids[-1] if self.ids else -1

    @property
    def tokens(self) -> list[Token]:
        return self._accumulator.tokens

    def add(self, event: Event, at: float) -> Piece:
        """Process an event that arrived at the time ``at``.

        Raises:
            ApiError: the model could not be run, or was unloaded.
        """
        self.last_at = at
        if isinstance(event, Finished):
            if event.reason == "error":
                raise ApiError(500, event.message)
            if event.reason == "cancelled" and not self._is_cut:
                raise ApiError(503, "The text was ended because the server is being stopped; try again in a moment.")
            self.reason = "length" if self._is_cut else event.reason
        elif isinstance(event, TokenEvent) and not self._accumulator.is_typed(event):
            self._count(event)
        n_shown = len(self.text)
        tokens = self._accumulator.add(event)
        return Piece(self.index, self.text[n_shown:], tokens, self.reason)

    def cut(self) -> None:
        """End the text at its current length, like a limit."""
        self._is_cut = True
        self.stream.cancel()

    @property
    def end(self) -> Literal["end", "word", "limit"]:
        """What ended the text: the model, a stop sequence, or a limit."""
        if self.reason != "stop":
            return "limit"
        return "end" if self.last_id in self._special_ids else "word"

    def _count(self, event: TokenEvent) -> None:
        self.first_at = self.first_at if self.n_written else self.last_at
        self.ids.append(event.id)
        self.total_logprob += event.logprob
        self.last_logprob = event.logprob


@dataclass(frozen=True)
class Piece:
    """A new part of the text number ``index``; ``reason`` is set in the last one."""

    index: int
    text: str
    tokens: tuple[Token, ...]
    reason: FinishReason | None


def by_token(text: Text, piece: Piece) -> Iterator[tuple[Token | None, str]]:
    """The text that each token of ``piece``, the latest piece of ``text``, shows.

    Text held back from an earlier token comes with the next token, or with none. A special token shows nothing.
    """
    end = len(text.text)
    start = end - len(piece.text)
    if not piece.tokens:
        if piece.text:
            yield None, piece.text
        return
    nexts = [min(token.offset, end) for token in piece.tokens[1:]] + [end]
    for token, until in zip(piece.tokens, nexts, strict=True):
        yield token, text.text[start:until]
        start = until


async def finish(run: Run, request: Request, enough: Callable[[Piece], bool] = lambda piece: False) -> list[Text]:
    """Wait for all texts of ``run`` and close it; it is cancelled if the client disconnects. A text is ended early once
    ``enough`` returns true for a piece.

    Raises:
        ApiError: the model could not be run.
        ClientGone: the client disconnected.
    """
    try:
        return await _unless_gone(request, run.finish(enough))
    finally:
        run.close()


class RunResponse(StreamingResponse):
    """A streaming response that closes its run however it ends."""

    def __init__(self, run: Run, lines: AsyncIterator[str], media_type: str = "text/event-stream") -> None:
        super().__init__(lines, media_type=media_type, headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        self._run = run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._run.close()


async def _unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientGone
    finally:
        working.cancel()
        leaving.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
