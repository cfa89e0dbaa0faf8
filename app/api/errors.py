"""What can go wrong with a request, told in each protocol's own JSON."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from app.models import NoRoom
from santacoder.checkpoints import CheckpointError
from santacoder.engine.engine import EngineBusy
from santacoder.errors import AttributionError, UnaskableText, UserError

ErrorBody = Callable[[int, str], dict[str, Any]]
"""An error in a protocol's own form, from a status and a sentence."""

_CLIENT_CLOSED_REQUEST = 499
_SECONDS_TO_RETRY = 1

log = logging.getLogger(__name__)


class ApiError(Exception):
    """A request that cannot be answered; the message is a sentence for the client's user, ``retry_after`` seconds."""

    def __init__(self, status: int, message: str, *, retry_after: int = _SECONDS_TO_RETRY) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class ClientGone(Exception):
    """The client has closed its connection."""


def route_class(error_body: ErrorBody, max_bytes: int) -> type[APIRoute]:
    """Routes that read no more than ``max_bytes`` of a request and answer failures in the form of ``error_body``."""

    class Route(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Any]:
            handle = super().get_route_handler()

            async def handle_or_explain(request: Request) -> Response:
                try:
                    return await handle(await _with_body(request, max_bytes))
                except ClientGone:
                    return Response(status_code=_CLIENT_CLOSED_REQUEST)
                except Exception as error:
                    status, message = explain(error)
                    seconds = error.retry_after if isinstance(error, ApiError) else _SECONDS_TO_RETRY
                    headers = {"Retry-After": str(seconds)} if status in (429, 503) else None
                    return JSONResponse(error_body(status, message), status, headers)

            return handle_or_explain

    return Route


def explain(error: Exception) -> tuple[int, str]:
    """The status and the sentence for a failure; one that nobody foresaw is logged, and told as such."""
    match error:
        case ApiError():
            return error.status, str(error)
        case RequestValidationError():
            return 400, " ".join(_sentence(detail) for detail in error.errors())
        case HTTPException():  # what cannot even be decoded
            return error.status_code, f"{error.detail}."
        case EngineBusy() | NoRoom():
            return 503, str(error)
        case CheckpointError():
            return 404, str(error)
        case UnaskableText():
            return 400, str(error)
        case AttributionError():
            return 500, str(error)
        case UserError():
            return 400, str(error)
    log.error("a request failed", exc_info=error)
    return 500, "The server failed at this request; its log says how, under the X-Request-Id of this answer."


def _sentence(detail: dict[str, Any]) -> str:
    if detail["type"] == "json_invalid":
        return f"The request is no JSON at character {detail['loc'][1] + 1}: {detail['ctx']['error']}."
    place = ".".join(str(part) for part in detail["loc"][1:])
    return f"{place or 'The request'}: {detail['msg']}."


async def _with_body(request: Request, max_bytes: int) -> Request:
    """``request`` with its body read.

    Raises:
        ApiError: the body is too large.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise ApiError(413, f"The request is larger than {max_bytes:,} bytes; send less of what surrounds it.")
    request._body = bytes(body)
    return request
