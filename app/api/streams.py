"""Client requests in progress: from the engine's events to pieces of text."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeVar
from weakref import WeakKeyDictionary, ref

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
# A display shows 60 frames a second. Sending what has arrived for one run takes some 0.06 ms of one processor, so with
# many clients the loop is busy an eighth of the time.
_LEAST_SECONDS = 0.008
_SECONDS_EACH = 0.0005


class Run:
    """Texts in progress on one model, which are ended after ``seconds`` (0: never).

    Closing it cancels unfinished texts, releases the model and calls ``on_close``. The texts of several clients are
    scheduled fairly. Without ``in_pieces``, the event loop is woken once a text has ended, not for its tokens: each
    time, the engine's thread may have to wait for the loop's.
    """

    def __init__(
        self,
        model: ServedModel,
        seconds: float,
        on_close: Callable[[], None],
        client: str = "",
        *,
        in_pieces: bool = True,
    ) -> None:
        self.model = model
        self.texts: list[Text] = []
        self.started = time.perf_counter()
        self._loop = asyncio.get_running_loop()
        self._mailbox = mailbox_of(self._loop)
        self._sent: deque[Arrival] = deque()
        self._arrived: deque[Arrival] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._seconds = seconds
        self._is_late = False
        self._timer = self._loop.call_later(seconds, self._cut_all) if seconds else None
        self._on_close = on_close
        self._client = client
        self._in_pieces = in_pieces
        self._is_closed = False

    def submit(self, requests: Sequence[CompletionRequest]) -> None:
        """Start all of ``requests``."""
        for index, request in enumerate(requests):
            stream = self.model.engine.submit(request, self._deliver(index), client=self._client, session=self._client)
            self.texts.append(Text(index, stream, self.model.engine.tokenizer))

    async def pieces(self) -> AsyncIterator[Piece]:
        """Yield the pieces of all texts until every text has ended.

        Raises:
            ApiError: the model could not be run, or the time limit was reached before a text had begun.
        """
        n_left = len(self.texts)
        while n_left:
            if not self._arrived:
                self._waiter = self._loop.create_future()
                await self._waiter
            index, event, at = self._arrived.popleft()
            text = self.texts[index]
            piece = text.add(event, at)
            if piece.reason and self._is_late and not text.n_written:
                raise ApiError(503, f"The request was still queued after {self._seconds:g} s; try again later.")
            n_left -= piece.reason is not None
            if piece.text or piece.tokens or piece.reason:
                yield piece

    @property
    def has_more(self) -> bool:
        """Whether the next piece need not be waited for."""
        return bool(self._arrived)

    def send(self, arrival: Arrival) -> None:
        """Keep an event for :meth:`receive`. For any thread."""
        self._sent.append(arrival)

    def receive(self) -> None:
        """Take all events that have been sent."""
        for _ in range(len(self._sent)):
            self._arrived.append(self._sent.popleft())
        if self._arrived and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

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

        send, wake, wake_soon = self.send, self._mailbox.wake, self._mailbox.wake_soon
        clock, in_pieces, is_first = time.perf_counter, self._in_pieces, True

        def deliver(event: Event) -> None:
            nonlocal is_first
            # the time is taken here, because the loop may be busy when the event arrives
            send((index, event, clock()))
            if isinstance(event, Finished) or (in_pieces and is_first):
                wake(self)
            elif in_pieces:
                wake_soon(self)
            is_first = False

        return deliver


Arrival = tuple[int, Event, float]
"""The number of a text, its event, and when that was sent."""


class Mailbox:
    """Wakes an event loop when the engines' threads have sent events to runs. A text's first token and its end arrive
    at once. Other tokens wait for those that follow within some milliseconds, and are then sent to the client together:
    waking the loop and writing to a socket for each token would take longer than computing it with a small model."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = ref(loop)
        self._now: deque[Run] = deque()
        self._soon: deque[Run] = deque()
        self._is_woken = self._is_planned = False
        self._next_at = 0.0

    def wake(self, run: Run) -> None:
        """Let ``run`` receive its events now. For any thread."""
        self._now.append(run)
        if not self._is_woken:
            self._is_woken = True  # first, because the loop may answer before this thread goes on
            self._call(self._hand_over_now)

    def wake_soon(self, run: Run) -> None:
        """Let ``run`` receive its events with those of other runs. For any thread."""
        self._soon.append(run)
        if not self._is_planned:
            self._is_planned = True
            self._call(self._plan)

    def _call(self, function: Callable[[], None]) -> None:
        if (loop := self._loop()) is not None:
            with suppress(RuntimeError):  # the loop has been closed, so nobody is waiting
                loop.call_soon_threadsafe(function)

    def _plan(self) -> None:
        loop = asyncio.get_running_loop()
        loop.call_at(max(self._next_at, loop.time()), self._hand_over_soon)

    def _hand_over_now(self) -> None:
        self._is_woken = False  # first, so that what is sent from now on wakes the loop again
        _receive(self._now)

    def _hand_over_soon(self) -> None:
        self._is_planned = False
        n_runs = _receive(self._soon)
        self._next_at = asyncio.get_running_loop().time() + max(_LEAST_SECONDS, n_runs * _SECONDS_EACH)


def _receive(runs: deque[Run]) -> int:
    """Let ``runs`` receive their events. Returns how many runs they are."""
    received = dict.fromkeys(runs.popleft() for _ in range(len(runs)))
    for run in received:
        run.receive()
    return len(received)


_MAILBOXES: WeakKeyDictionary[asyncio.AbstractEventLoop, Mailbox] = WeakKeyDictionary()


def mailbox_of(loop: asyncio.AbstractEventLoop) -> Mailbox:
    if loop not in _MAILBOXES:
        _MAILBOXES[loop] = Mailbox(loop)
    return _MAILBOXES[loop]


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


@dataclass(slots=True)
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
    """A streaming response that closes its run however it ends. Lines of tokens that have arrived together are sent
    together."""

    def __init__(self, run: Run, lines: AsyncIterator[str], media_type: str = "text/event-stream") -> None:
        super().__init__(lines, media_type=media_type, headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        self._run = run
        self._lines = lines

    async def stream_response(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        unsent: list[str] = []
        async for line in self._lines:
            unsent.append(line)
            if not self._run.has_more:
                await send({"type": "http.response.body", "body": "".join(unsent).encode(), "more_body": True})
                unsent.clear()
        await send({"type": "http.response.body", "body": "".join(unsent).encode(), "more_body": False})

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
