"""Ollama's API as its own clients, Continue and others use it: /api/generate, tags, show, ps and version.

https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

from typing import Any, NoReturn

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from app.api.errors import ApiError, route_class
from app.api.ollama.answers import error_body, heading, last, lines
from app.api.ollama.bodies import GenerateBody, ShowBody
from app.api.ollama.models import details, loaded, tags
from app.api.running import RunResponse, Server, finish

# the version of Ollama whose protocol this is: clients check it for features
_VERSION = "0.12.0"


def ollama_routes(server: Server) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["Ollama"], route_class=route_class(error_body))

    @router.post("/generate")
    async def generate(body: GenerateBody, request: Request) -> Response:
        """Continue ``prompt``, or with a ``suffix`` fill the gap between the two."""
        name = body.model or server.default_model
        if not body.prompt and not body.suffix:  # this is how clients load a model
            (await server.acquire(body.model)).release()
            return JSONResponse({**heading(name), "response": "", "done": True, "done_reason": "load"})
        run = await server.start(request, body.model, lambda tokenizer: [body.request(tokenizer, server.settings.seed)])
        if body.stream:
            return RunResponse(run, lines(body, name, run), "application/x-ndjson")
        (text,) = await finish(run, request)
        return JSONResponse(last(body, name, run, text, text.text, text.tokens))

    @router.get("/tags")
    def list_tags() -> dict[str, Any]:
        """Every branch on this server."""
        return {"models": tags(server)}

    @router.get("/ps")
    def list_loaded() -> dict[str, Any]:
        """The models in memory."""
        return {"models": loaded(server)}

    @router.get("/version")
    def version() -> dict[str, str]:
        return {"version": _VERSION}

    @router.post("/show")
    async def show(body: ShowBody) -> dict[str, Any]:
        model = await server.acquire(body.model or body.name)
        model.release()
        runner = model.engine.runner
        return {
            "details": details(runner.precision),
            "model_info": {
                "general.architecture": "gpt_bigcode",
                "gpt_bigcode.context_length": runner.n_positions,
                "general.commit": model.sha,
            },
            "parameters": "",
            "template": "{{ .Prompt }}",
            "capabilities": ["completion", "insert"],
        }

    @router.post("/chat", response_model=None, include_in_schema=False)
    def chat() -> NoReturn:
        raise ApiError(400, "The models on this server complete code and do not chat; use /api/generate.")

    return router
