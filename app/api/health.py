"""GET /health and /v1/health, in the format of llama.cpp's server, whose clients use it; no key is needed."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from app.api.errors import route_class
from app.api.llama_cpp.answers import error_body
from app.errors import without_paths
from app.health import Health

HEALTH_PATHS = ("/health", "/v1/health")


def health_routes(health: Health) -> APIRouter:
    router = APIRouter(tags=["Health"], route_class=route_class(error_body))

    @router.get(HEALTH_PATHS[0], responses={503: {"description": "Something is wrong; the message says what."}})
    @router.get(HEALTH_PATHS[1], include_in_schema=False)
    async def report() -> JSONResponse:
        """Whether the server is healthy. If it is not, the response says why, and recovery starts."""
        problems = await health.problems()
        if not problems:
            return JSONResponse({"status": "ok"})
        health.start_mending()
        problems = {name: without_paths(sentence) for name, sentence in problems.items()}
        error = {"code": 503, "message": " ".join(problems.values()), "type": "unavailable_error"}
        return JSONResponse({"status": "error", "error": error, "problems": problems}, 503)

    return router
