"""All endpoints of the API."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from app.api.attribution import attribution_routes
from app.api.errors import ApiError, explain
from app.api.health import health_routes
from app.api.keys import key_check
from app.api.llama_cpp.routes import llama_cpp_routes
from app.api.mistral import mistral_routes
from app.api.ollama.answers import error_body as ollama_error
from app.api.ollama.routes import ollama_routes
from app.api.openai import error_body as openai_error
from app.api.openai import openai_routes
from app.api.running import Server
from app.api.tgi.routes import tgi_routes
from app.api.unknown import answer_other_methods, unknown_paths
from app.metrics import Metrics

_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The request cannot be answered; the message says why."},
    401: {"description": "An API key is required."},
    404: {"description": "The model or revision does not exist."},
    413: {"description": "The request is too large, or asks for too much."},
    429: {"description": "The client exceeds a limit on requests or texts; Retry-After says when to try again."},
    503: {"description": "The server is busy; Retry-After says when to try again."},
}


def add_routes(app: FastAPI, server: Server, metrics: Metrics) -> None:
    """Add the routes of all protocols, of health checks and of Prometheus to ``app``."""
    check_key = key_check(server.settings.keys)

    # asynchronous, because FastAPI runs other dependencies in a thread
    async def with_key(request: Request) -> None:
        check_key(request)

    async def in_rate(request: Request) -> None:
        server.limits.check_rate(request)

    key, rate = Depends(with_key), Depends(in_rate)
    for routes in (openai_routes, mistral_routes, llama_cpp_routes, tgi_routes, ollama_routes, attribution_routes):
        app.include_router(answer_other_methods(routes(server)), dependencies=[key, rate], responses=_REFUSALS)
    app.include_router(answer_other_methods(health_routes(server.health)))
    for prefix, error_body in (("/v1", openai_error), ("/api", ollama_error)):
        app.include_router(unknown_paths(prefix, error_body))

    # routes outside the protocols
    app.add_exception_handler(ApiError, _refusal)

    figures = APIRouter(tags=["Metrics"], dependencies=[key])

    @figures.get("/metrics")
    def report() -> Response:
        """Metrics for Prometheus."""
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    app.include_router(answer_other_methods(figures))


def _refusal(_: Request, error: Exception) -> JSONResponse:
    told = explain(error)
    headers = {"WWW-Authenticate": "Bearer"} if told.status == 401 else None
    return JSONResponse({"error": {"message": told.message, "code": told.status}}, told.status, headers)
