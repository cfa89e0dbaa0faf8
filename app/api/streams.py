"""Client requests in progress: their texts, their limits, and their responses."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from fastapi import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.api.error_responses import ClientGone
from app.api.mailbox import mailbox_of
from app.api.texts import Piece, Text
from app.errors import ApiError
from app.model_pool import ServedModel
from santacoder.engine.events import Event, Finished
from santacoder.engine.request import CompletionRequest

T = TypeVar("T")
Arrival = tuple[int, Event, float]
"""The number of a text, its event, and when that was sent."""


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
            text = Text(index, stream, self.model.engine.tokenizer)
            self.texts.append(text)
            if self._is_late:  # the time ran out meanwhile, and those that exist have been cut
                text.cut()

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
