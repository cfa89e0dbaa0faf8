"""What became of suggestions, as clients report it: POST /v1/feedback, and Tabby's POST /v1/events."""

from __future__ import annotations

import logging
from typing import Annotated

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request
from pydantic import BeforeValidator, Field

from app.api.error_responses import route_class
from app.api.fields import Body, known_language
from app.api.openai_errors import error_body
from app.context import Server
from app.errors import ApiError
from app.shares.signals import OTHER, Event, Source, known_editor
from santacoder.languages import Language

_MOST_AT_ONCE = 4  # so that a locked database blocks no other threads
_TABBY: dict[str, Event] = {"view": "shown", "select": "accepted", "dismiss": "dismissed"}
_log = logging.getLogger(__name__)


class FeedbackBody(Body):
    event: Event = Field(description="What became of the suggestion.")
    model: str | None = Field(None, description="The model that wrote it, as in its response; default: the server's.")
    language: Annotated[Language | None, BeforeValidator(known_language)] = None
    editor: str = Field("", description="The editor's name; default: User-Agent.")
    text: str = Field("", description="The suggestion; it is never kept, and logged only with --log-prompts.")


class EventBody(Body):
    """Tabby's event about a completion."""

    type: str = Field(description="view, select or dismiss.")
    completion_id: str = Field(description="The id of a response to a request with segments.")
    select_kind: str = Field("", description="line: a part was accepted.")


def feedback_routes(server: Server) -> APIRouter:
    router = APIRouter(tags=["Feedback"], route_class=route_class(error_body))
    threads = CapacityLimiter(_MOST_AT_ONCE)

    async def count(body: FeedbackBody, request: Request) -> dict[str, str]:
        """Count an event, and return what it was counted for."""
        client = server.limits.client(request)
        server.rates.count("feedback", client)
        editor = known_editor(body.editor or request.headers.get("user-agent", ""))

        def add() -> tuple[str, Source]:
            repo_id, revision = server.chosen(body.model, client)
            sha = server.models.commit(repo_id, revision)
            # a commit may be named in many ways
            name = revision if f"{repo_id}@{revision}" in server.revisions() else sha
            source = Source(repo_id, name, sha, body.language or OTHER, editor)
            server.signals.add(body.event, source)
            return repo_id, source

        repo_id, source = await to_thread.run_sync(add, limiter=threads)
        fields = {"event": body.event, "model": f"{repo_id}@{source.revision}", "commit": source.sha}
        fields |= {"language": source.language, "editor": source.editor}
        _log.info("feedback", extra=fields | ({"text": body.text} if server.settings.log_prompts else {}))
        return fields

    @router.post("/v1/feedback")
    async def feedback(body: FeedbackBody, request: Request) -> dict[str, str]:
        """Count that a suggestion was shown, accepted, partly accepted or dismissed."""
        return await count(body, request)

    @router.post("/v1/events")
    async def event(body: EventBody, request: Request) -> dict[str, str]:
        """The same as Tabby's clients send it."""
        if body.type not in _TABBY:
            raise ApiError(400, f"type: There is no event {body.type[:100]!r}; there are {', '.join(_TABBY)}.")
        kind: Event = "partly_accepted" if body.type == "select" and body.select_kind else _TABBY[body.type]
        _, language, model = _parts(body.completion_id)
        return await count(FeedbackBody(event=kind, model=model, language=language), request)

    return router


def _parts(completion_id: str) -> list[str]:
    """The parts of an id (app/api/tabby.py): a random number, the language, the model."""
    parts = completion_id.split(":", 2)
    if len(parts) < 3:
        raise ApiError(400, "completion_id: This server did not issue this id.")
    return parts
