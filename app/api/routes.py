"""All endpoints of the API."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from app.api.attribution import attribution_routes
from app.api.error_responses import error_headers, explain, route_class
from app.api.feedback import feedback_routes
from app.api.keys import key_check
from app.api.llama_cpp.answers import error_body as llama_cpp_error
from app.api.llama_cpp.routes import llama_cpp_routes
from app.api.mistral import mistral_routes
from app.api.ollama import error_body as ollama_error
from app.api.ollama import ollama_routes
from app.api.openai import openai_routes
from app.api.openai_errors import error_body as openai_error
from app.api.tabby import tabby_health, tabby_routes
from app.api.tgi import tgi_routes
from app.api.unknown import answer_other_methods, unknown_paths
from app.context import Server
from app.errors import ApiError, without_paths
from app.observability.metrics import Metrics

_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The request cannot be answered; the message says why."},
    401: {"description": "An API key is required."},
    404: {"description": "The model or revision does not exist."},
    413: {"description": "The request is too large, or asks for too much."},
    429: {"description": "The client exceeds a limit on requests or texts; Retry-After says when to try again."},
    503: {"description": "The server is busy; Retry-After says when to try again."},
}

HEALTH_PATHS = ("/health", "/v1/health")


def add_routes(app: FastAPI, server: Server, metrics: Metrics) -> None:
    """Add the routes of all protocols, of health checks and of Prometheus to ``app``."""
    check_key = key_check(server.settings.keys)

    # asynchronous, because FastAPI runs other dependencies in a thread
    async def with_key(request: Request) -> None:
        check_key(request)

    async def in_rate(request: Request) -> None:
        server.limits.check_rate(request)

    key, rate = Depends(with_key), Depends(in_rate)
    protocols = (openai_routes, mistral_routes, llama_cpp_routes, tgi_routes, ollama_routes, tabby_routes)
    for routes in (*protocols, feedback_routes, attribution_routes):
        app.include_router(answer_other_methods(routes(server)), dependencies=[key, rate], responses=_REFUSALS)
    app.include_router(answer_other_methods(health_routes(server)))
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
    content = {"error": {"message": told.message, "code": told.status}}
    return JSONResponse(content, told.status, error_headers(error, told.status))


def health_routes(server: Server) -> APIRouter:
    health = server.health
    router = APIRouter(tags=["Health"], route_class=route_class(llama_cpp_error))

    @router.get(HEALTH_PATHS[0], responses={503: {"description": "Something is wrong; the message says what."}})
    @router.get(HEALTH_PATHS[1], include_in_schema=False)
    async def report(request: Request) -> JSONResponse:
        """Whether the server is healthy. If it is not, the response says why, and recovery starts."""
        problems = await health.problems()
        if not problems:
            more = tabby_health(server) if request.url.path.endswith(HEALTH_PATHS[1]) else {}
            return JSONResponse({"status": "ok", **more})
        health.start_mending()
        problems = {name: without_paths(sentence) for name, sentence in problems.items()}
        error = {"code": 503, "message": " ".join(problems.values()), "type": "unavailable_error"}
        return JSONResponse({"status": "error", "error": error, "problems": problems}, 503)

    return router
