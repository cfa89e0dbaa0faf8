"""Middleware for every request: its id, its log line, its metrics."""

from __future__ import annotations

import logging
import re
import time
import uuid

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.observability.logs import request_id
from app.observability.metrics import Metrics

_HEADER = b"x-request-id"
_GONE = 499  # the client disconnected before the response
_FAILED = "Something went wrong on the server. Its log says more, under the id in the header X-Request-Id."
_log = logging.getLogger(__name__)


class Requests:
    """ASGI middleware. A client may send its own request id; the response contains the id."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identifier = _given_id(scope) or uuid.uuid4().hex
        token = request_id.set(identifier)
        started = time.perf_counter()
        status = _GONE

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (_HEADER, identifier.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:
            raise
        except Exception:
            if status != _GONE:  # the response has begun
                raise
            _log.exception("the request failed")
            await JSONResponse({"error": _FAILED, "detail": _FAILED}, 500)(scope, receive, send_with_id)
        finally:
            self._report(scope, status, time.perf_counter() - started)
            request_id.reset(token)

    def _report(self, scope: Scope, status: int, seconds: float) -> None:
        endpoint = _endpoint(scope)
        self._metrics.requests.labels(endpoint, status).inc()
        self._metrics.request_seconds.labels(endpoint).observe(seconds)
        _log.info(
            "request",
            extra={
                "client": scope["client"][0] if scope.get("client") else "",
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "seconds": round(seconds, 4),
            },
        )


def _given_id(scope: Scope) -> str:
    """The client's own request id, if it is safe to log."""
    given = next((value for name, value in scope["headers"] if name == _HEADER), b"").decode("latin-1")
    return given if re.fullmatch(r"[\w.-]{1,64}", given, re.ASCII) else ""


def _endpoint(scope: Scope) -> str:
    """The path as declared, so that the number of labels is bounded."""
    return getattr(scope.get("route"), "path", None) or "none"
