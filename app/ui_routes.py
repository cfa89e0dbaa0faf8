"""Gradio's routes: those that the page has a use for, what they take, and how much of the queue one client may have."""

from __future__ import annotations

import logging
from collections.abc import Callable

from gradio.blocks import Blocks
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.limits import Limits
from app.json_values import has_more_values
from app.request_bodies import again
from app.ui_sessions import Sessions

_log = logging.getLogger(__name__)
# links to a state of the page write to the disk; direct calls pass the queue by; the rest belongs to other components
_UNUSED = (
    "api", "run", "deep_link", "component_server", "custom_component", "process_recording", "proxy=", "stream",
    "run-history", "runs", "vibe-edit", "undo-vibe-edit", "vibe-code", "vibe-starter-queries", "dev", "profiling",
)  # fmt: skip
_UNUSED_ELSEWHERE = ("/monitoring", "/pwa_icon", "/svelte")
_JOINING = ("queue", "call")
_MOST_VALUES = 10_000
"""Numbers, texts, lists and so on in the JSON of one event. The page sends some thirty."""
_MOST_PAGES = 256
"""Pages that one client may hold open; behind a school's address there may be many."""


class UiRoutes:
    """ASGI middleware before Gradio; ``names_other_files`` tells whether a body names a file that was not uploaded."""

    def __init__(
        self,
        app: ASGIApp,
        page: Blocks,
        sessions: Sessions,
        limits: Limits,
        names_other_files: Callable[[bytes], bool],
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
        if route.startswith(_UNUSED_ELSEWHERE) or (
            route.startswith("/gradio_api/") and any(first == name or first.startswith("proxy=") for name in _UNUSED)
        ):
            await JSONResponse({"error": "There is nothing here."}, 404)(scope, receive, send)
        elif not route.startswith("/gradio_api/"):
            await self._app(scope, receive, send)
        elif first == "heartbeat":
            await self._hold(rest.rstrip("/"), scope, receive, send)
        elif first == "queue" and scope["method"] == "GET":
            session_id = Request(scope).query_params.get("session_hash", "")
            self._sessions.connect(session_id)
            try:
                await self._app(scope, receive, send)
            finally:
                self._sessions.disconnect(session_id)
                self._sessions.free()
        elif scope["method"] == "POST" and first != "upload":
            await self._post(first in _JOINING, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _hold(self, session_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        """A page that stays open."""
        client = self._limits.client(Request(scope))
        if self._n_pages.get(client, 0) >= _MOST_PAGES:
            sentence = f"You have {_MOST_PAGES} pages open, which is the limit; close some of them."
            await JSONResponse({"error": sentence}, 429)(scope, receive, send)
            return
        self._n_pages[client] = self._n_pages.get(client, 0) + 1
        self._sessions.connect(session_id)
        try:
            await self._app(scope, receive, send)
        finally:
            self._sessions.disconnect(session_id)
            self._sessions.free()
            self._n_pages[client] -= 1
            if not self._n_pages[client]:
                del self._n_pages[client]

    async def _post(self, joins: bool, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if joins and (sentence := self._crowding(request)):
            await JSONResponse({"error": sentence, "detail": sentence}, 429, {"Retry-After": "1"})(scope, receive, send)
            return
        body = await request.body()
        if joins:
            self._sessions.free()
        if await run_in_threadpool(has_more_values, body, _MOST_VALUES):
            sentence = f"The request has more than {_MOST_VALUES:,} values; the page sends a few."
            await JSONResponse({"error": sentence, "detail": sentence}, 413)(scope, receive, send)
            return
        if await run_in_threadpool(self._names_other_files, body):
            sentence = "The request names a file that was not uploaded to this page."
            await JSONResponse({"error": sentence, "detail": sentence}, 403)(scope, receive, send)
            return
        await self._explained(scope, again(body, receive), send)

    async def _explained(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What Gradio answers. It fails where a request names a function that is not there, or has half a surrogate
        pair; what its functions do, and how that fails, is told elsewhere."""
        has_failed = False

        async def send_unless_failed(message: Message) -> None:
            nonlocal has_failed
            has_failed = has_failed or message.get("status") == 500
            if not has_failed:
                await send(message)

        try:
            await self._app(scope, receive, send_unless_failed)
        except Exception:
            if not has_failed:
                raise
            _log.info("a request to the page fits nothing there", exc_info=True)
        if has_failed:
            sentence = "The request fits no function of this page."
            await JSONResponse({"error": sentence, "detail": sentence}, 400)(scope, receive, send)

    def _crowding(self, request: Request) -> str:
        """A sentence where the client has as many events in the queue as it may."""
        most = self._limits.streams_per_client
        client = self._limits.client(request)
        events = list(self._page._queue.event_ids_to_events.values())
        if not most or sum(self._limits.client(event.request) == client for event in events) < most:
            return ""
        return f"You have {most} events of this page under way, which is the limit; wait for one to end."


def route_of(scope: Scope) -> str:
    """The path below the one the server is mounted at."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
