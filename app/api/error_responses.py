"""Errors of requests, in each protocol's JSON format."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.api.address_fields import with_fields_of_address
from app.errors import (
    MODEL_NOT_FOUND,
    SECONDS_TO_RETRY,
    ApiError,
    StoreUnavailable,
    TooOften,
    sentences,
    without_paths,
)
from app.json_values import MOST_VALUES, has_more_values
from app.middleware.request_bodies import BodyTooLarge
from app.residents import NoRoom
from santacoder.checkpoints import CheckpointError
from santacoder.engine.engine import EngineBusy
from santacoder.errors import AttributionError, PromptTooLong, UserError

EXCEEDS_CONTEXT = "exceed_context_size_error"

_CLIENT_CLOSED_REQUEST = 499

log = logging.getLogger(__name__)


class Explanation(NamedTuple):
    """An error: the response's status, a sentence, and the protocol's code and further fields if it has any."""

    status: int
    message: str
    code: str | None = None
    more: Mapping[str, int] = MappingProxyType({})


ErrorBody = Callable[[Explanation], dict[str, Any]]
"""An error in a protocol's format."""


class ClientGone(Exception):
    """The client has closed its connection."""


def route_class(error_body: ErrorBody) -> type[APIRoute]:
    """Routes that report errors in the format of ``error_body``."""

    class Route(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Any]:
            handle = super().get_route_handler()

            async def handle_or_explain(request: Request) -> Response:
                try:
                    return await handle(_as_json(await with_fields_of_address(await _with_body(request))))
                except ClientGone:
                    return Response(status_code=_CLIENT_CLOSED_REQUEST)
                except Exception as error:
                    explanation = explain(error)
                    headers = error_headers(error, explanation.status)
                    return JSONResponse(error_body(explanation), explanation.status, headers)

            return handle_or_explain

    return Route


def explain(error: Exception) -> Explanation:
    """The explanation of an error; an unexpected error is logged, and reported as such."""
    match error:
        case ApiError():
            return Explanation(error.status, without_paths(str(error)), error.code)
        case RequestValidationError():
            return Explanation(400, sentences(error.errors(), n_outer=1))
        case HTTPException():  # the body cannot be decoded
            return Explanation(error.status_code, f"{error.detail}.")
        case TooOften():
            return Explanation(429, str(error))
        case EngineBusy() | NoRoom() | StoreUnavailable():
            return Explanation(503, without_paths(str(error)))
        case CheckpointError():
            return Explanation(404, without_paths(str(error)), MODEL_NOT_FOUND)
        case PromptTooLong():
            sizes = {"n_prompt_tokens": error.n_tokens, "n_ctx": error.n_positions}
            return Explanation(400, str(error), EXCEEDS_CONTEXT, sizes)
        case UserError():
            return Explanation(400, str(error))
        case AttributionError():
            return Explanation(500, without_paths(str(error)))
    log.error("a request failed", exc_info=error)
    return Explanation(
        500, "Something went wrong on the server. Its log has the details under the X-Request-Id of this response."
    )


def error_headers(error: Exception, status: int) -> dict[str, str]:
    """The headers of a response with ``status`` to a request that raised ``error``."""
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status in (429, 503):
        headers["Retry-After"] = str(error.retry_after if isinstance(error, ApiError) else SECONDS_TO_RETRY)
    return headers


async def _with_body(request: Request) -> Request:
    """``request`` with its body read.

    Raises:
        ApiError: the body is too large, or has too many values.
        ClientGone: the client disconnected before the body was complete.
    """
    try:
        body = await request.body()
    except BodyTooLarge as error:
        raise ApiError(413, str(error)) from error
    except ClientDisconnect as error:
        raise ClientGone from error
    if len(body) > MOST_VALUES and await run_in_threadpool(has_more_values, body, MOST_VALUES):
        sentence = (
            f"The request has more than {MOST_VALUES:,} values, or is nested too deeply; send fewer tokens or texts."
        )
        raise ApiError(400, sentence)
    return request


def _as_json(request: Request) -> Request:
    """``request`` with its body treated as JSON, whatever its content type: ``curl -d`` and others declare a form.
    Cross-site pages, which can send forms without CORS, have been refused before
    (``app/middleware/host_and_origin.py``)."""
    other = [(name, value) for name, value in request.scope["headers"] if name != b"content-type"]
    request.scope["headers"] = [*other, (b"content-type", b"application/json")]
    return request
