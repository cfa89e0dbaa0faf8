"""What can go wrong with a request, told in each protocol's own JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from santacoder.checkpoints import CheckpointError
from santacoder.engine.engine import EngineBusy
from santacoder.errors import AttributionError, UnaskableText

MAX_BODY = 4 * 1024 * 1024
"""Bytes of a request. A context of 2,048 tokens is some 8 KB; editors send the files around it, too."""

ErrorBody = Callable[[int, str], dict[str, Any]]
"""An error in a protocol's own form, from a status and a sentence."""

_CLIENT_CLOSED_REQUEST = 499
_SECONDS_TO_RETRY = 1


class ApiError(Exception):
    """A request that cannot be answered; the message is a sentence for the client's user."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ClientGone(Exception):
    """The client has closed its connection."""


def route_class(error_body: ErrorBody) -> type[APIRoute]:
    """Routes that read no more than ``MAX_BODY`` bytes and answer failures in the form of ``error_body``."""

    class Route(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Any]:
            handle = super().get_route_handler()

            async def handle_or_explain(request: Request) -> Response:
                try:
                    return await handle(await _with_body(request))
                except ClientGone:
                    return Response(status_code=_CLIENT_CLOSED_REQUEST)
                except Exception as error:
                    status, message = explain(error)
                    headers = {"Retry-After": str(_SECONDS_TO_RETRY)} if status == 503 else None
                    return JSONResponse(error_body(status, message), status, headers)

            return handle_or_explain

    return Route


def explain(error: Exception) -> tuple[int, str]:
    """The status and the sentence for a failure that a client has to be told; any other is raised again."""
    match error:
        case ApiError():
            return error.status, str(error)
        case RequestValidationError():
            return 400, " ".join(_sentence(detail) for detail in error.errors())
        case HTTPException():  # what cannot even be decoded
            return error.status_code, f"{error.detail}."
        case EngineBusy():
            return 503, str(error)
        case CheckpointError():
            return 404, str(error)
        case UnaskableText():
            return 400, str(error)
        case AttributionError():
            return 500, str(error)
        case ValueError():
            return 400, str(error)
    raise error


def _sentence(detail: dict[str, Any]) -> str:
    if detail["type"] == "json_invalid":
        return f"The request is no JSON at character {detail['loc'][1] + 1}: {detail['ctx']['error']}."
    place = ".".join(str(part) for part in detail["loc"][1:])
    return f"{place or 'The request'}: {detail['msg']}."


async def _with_body(request: Request) -> Request:
    """``request`` with its body read.

    Raises:
        ApiError: the body is too large.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise ApiError(413, f"The request is larger than {MAX_BODY:,} bytes; send less of what surrounds it.")
    request._body = bytes(body)
    return request
