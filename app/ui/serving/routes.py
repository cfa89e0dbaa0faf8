"""Filtering of Gradio's routes: only those that the page uses, with limits on values and on queued events per
client.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from gradio.blocks import Blocks
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.error_responses import explain
from app.json_values import MOST_VALUES, TooManyValues, few_values
from app.limits import Limits
from app.middleware.mount import route_of
from app.middleware.request_bodies import again
from app.ui.serving.sessions import Sessions

_log = logging.getLogger(__name__)
# The routes that the page and gradio_client use. Of the others, some write to the disk, bypass the queue, or fetch any
# address that is named.
_USED = (
    "app_id", "call", "cancel", "file=", "heartbeat", "info", "login_check", "openapi.json", "queue", "reset",
    "startup-events", "theme.css", "token", "upload", "upload_progress", "user",
)  # fmt: skip
_UNUSED_ELSEWHERE = ("/monitoring", "/pwa_icon", "/svelte")
_JOINING = ("queue", "call")
"""The routes that join the queue."""
_LONGEST_SESSION = 64
"""Maximum length of a session's name, which Gradio keeps; browsers and gradio_client send 10 to 36 characters."""
_MOST_PAGES = 256
"""Maximum number of open pages per client; a school's address may have many."""


class UiRoutes:
    """ASGI middleware in front of Gradio. ``names_other_files`` returns whether one of the JSON values names a file
    that was not uploaded.
    """

    def __init__(
        self,
        app: ASGIApp,
        page: Blocks,
        sessions: Sessions,
        limits: Limits,
        names_other_files: Callable[[Iterable[Any]], bool],
    ) -> None:
        self._app = app
        self._page = page
        self._sessions = sessions
        self._limits = limits
        self._names_other_files = names_other_files
        self._n_pages: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = route_of(scope) if scope["type"] == "http" else ""
        first, _, rest = route.removeprefix("/gradio_api/").partition("/")
        if route.startswith(_UNUSED_ELSEWHERE) or (route.startswith("/gradio_api/") and first not in _USED):
            await _refusal(404, "This route does not exist.")(scope, receive, send)
        elif not route.startswith("/gradio_api/"):
            await self._app(scope, receive, send)
        elif first == "heartbeat":
            await self._hold(rest.rstrip("/"), scope, receive, send)
        elif first == "queue" and scope["method"] == "GET":
            with self._sessions.held(Request(scope).query_params.get("session_hash", "")):
                await self._explained(scope, receive, send)
        elif scope["method"] == "POST" and first != "upload":
            await self._post(first in _JOINING, scope, receive, send)
        else:
            await self._explained(scope, receive, send)

    async def _hold(self, session_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Keep the connection of an open page."""
        request = Request(scope)
        client = self._limits.client(request)
        if not self._has_logged_in(request):
            await _refusal(401, "The page requires a login.")(scope, receive, send)
            return
        if self._n_pages.get(client, 0) >= _MOST_PAGES:
            sentence = f"You have {_MOST_PAGES} pages open, which is the limit; close some of them."
            await _refusal(429, sentence)(scope, receive, send)
            return
        self._n_pages[client] = self._n_pages.get(client, 0) + 1
        try:
            with self._sessions.held(session_id):
                await self._explained(scope, receive, send)
        finally:
            self._n_pages[client] -= 1
            if not self._n_pages[client]:
                del self._n_pages[client]

    def _has_logged_in(self, request: Request) -> bool:
        """Whether the client has logged in, or need not. Gradio itself does not check this for the heartbeat."""
        page = self._page.app
        names = (f"access-token-{page.cookie_id}", f"access-token-unsecure-{page.cookie_id}")
        return page.auth is None or any(request.cookies.get(name) in page.tokens for name in names)

    async def _post(self, joins: bool, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if joins and (sentence := self._crowding(request)):
            await _refusal(429, sentence, {"Retry-After": "1"})(scope, receive, send)
            return
        body = await request.body()
        if joins:
            self._sessions.free()
        refusal = await run_in_threadpool(self._refusal_of, body)
        if refusal is not None:
            await _refusal(*refusal)(scope, receive, send)
            return
        await self._explained(scope, again(body, receive), send)

    def _refusal_of(self, body: bytes) -> tuple[int, str] | None:
        """The status and the sentence with which a request is refused before Gradio sees it."""
        try:
            found = few_values(body, MOST_VALUES)
        except TooManyValues:
            return 413, f"The request has more than {MOST_VALUES:,} values, or is nested too deeply."
        if self._names_other_files(found):
            return 403, "The request names a file that was not uploaded to this page."
        session = found[0].get("session_hash") if found and isinstance(found[0], dict) else None
        if isinstance(session, str) and not (session.isascii() and 0 < len(session) <= _LONGEST_SESSION):
            return 400, f"The session_hash must have 1 to {_LONGEST_SESSION} ASCII characters."
        return None

    async def _explained(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request to Gradio, and turn its failures into a sentence.

        Gradio fails if a request names a function or session that does not exist, or contains a lone surrogate.
        Errors of the page's functions are reported elsewhere.
        """
        has_failed = has_begun = False

        async def send_unless_failed(message: Message) -> None:
            nonlocal has_failed, has_begun
            has_failed = has_failed or message.get("status") == 500
            if not has_failed:
                has_begun = True
                await send(message)

        try:
            await self._app(scope, receive, send_unless_failed)
        except Exception as error:
            _log.info("a request does not match the page: %r", error)
            if has_begun:  # a stream of events, which has already reported the error
                await send({"type": "http.response.body", "body": b""})
            has_failed = not has_begun
        if has_failed:
            await _refusal(400, "The request does not match any function of this page.")(scope, receive, send)

    def _crowding(self, request: Request) -> str:
        """A sentence if the client has reached its limit of queued events."""
        most = self._limits.streams_per_client
        client = self._limits.client(request)
        events = list(self._page._queue.event_ids_to_events.values())
        if not most or sum(self._limits.client(event.request) == client for event in events) < most:
            return ""
        return f"You have {most} events of this page in progress, which is the limit; wait until one has finished."


def _refusal(status: int, sentence: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An error response in the format that the page and its clients expect."""
    return JSONResponse({"error": sentence, "detail": sentence}, status, headers)


async def explain_types(_: Request, error: Exception) -> JSONResponse:
    """Replace Gradio's list of type errors with a sentence."""
    return _refusal(422, explain(error).message)
