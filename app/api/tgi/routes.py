"""Text Generation Inference as its own clients, llm-ls and Continue use it: /generate, /generate_stream, / and /info.

https://huggingface.github.io/text-generation-inference
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from app.api.errors import route_class
from app.api.running import MAX_TEXTS, RunResponse, Server, finish
from app.api.tgi.answers import answer, error_body, lines
from app.api.tgi.bodies import GenerateBody
from santacoder.sampling import MAX_STOP_SEQUENCES


def tgi_routes(server: Server) -> APIRouter:
    router = APIRouter(tags=["Text Generation Inference"], route_class=route_class(error_body))

    async def whole(body: GenerateBody, request: Request) -> dict[str, Any]:
        run = await server.start(request, body.model, lambda tokenizer: body.requests(tokenizer, server.settings.seed))
        await finish(run, request)
        return answer(body, run)

    async def streamed(body: GenerateBody, request: Request) -> Response:
        body.check_stream()
        run = await server.start(request, body.model, lambda tokenizer: body.requests(tokenizer, server.settings.seed))
        return RunResponse(run, lines(body, run))

    @router.post("/generate")
    async def generate(body: GenerateBody, request: Request) -> Response:
        """Continue ``inputs``, which may be a whole fill-in-the-middle prompt."""
        return await streamed(body, request) if body.stream else JSONResponse(await whole(body, request))

    @router.post("/generate_stream")
    async def generate_stream(body: GenerateBody, request: Request) -> Response:
        """The same, as server-sent events."""
        return await streamed(body, request)

    @router.post("/")
    async def compatible(body: GenerateBody, request: Request) -> Response:
        """The same, as the Python clients request it: streamed, or complete in a list."""
        return await streamed(body, request) if body.stream else JSONResponse([await whole(body, request)])

    @router.get("/info")
    async def info() -> dict[str, Any]:
        model = await server.acquire(None)
        model.release()
        runner = model.engine.runner
        return {
            "model_id": model.repo_id,
            "model_sha": model.sha,
            "model_dtype": runner.precision,
            "model_device_type": runner.device,
            "model_pipeline_tag": "text-generation",
            "max_concurrent_requests": runner.n_slots + server.settings.max_waiting,
            "max_best_of": MAX_TEXTS,
            "max_stop_sequences": MAX_STOP_SEQUENCES,
            "max_input_tokens": runner.n_positions - 1,
            "max_total_tokens": runner.n_positions,
            "router": "santacoder",
        }

    return router
