"""Text Generation Inference as llm-ls and Continue use it: /generate, /generate_stream, /info.

https://huggingface.github.io/text-generation-inference
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from app.api.errors import ApiError, explain, route_class
from app.api.prompts import fitting_seed, raw_request, stop_sequences
from app.api.running import Run, RunResponse, Server, Text, finish
from santacoder.sampling import MAX_STOP_SEQUENCES, SamplingParams

_REASONS = {"end": "eos_token", "word": "stop_sequence", "limit": "length"}
_ERROR_TYPES = {404: "not_found", 503: "overloaded"}


class Parameters(BaseModel):
    """Fields and defaults of the protocol; asking for any kind of sampling turns it on."""

    max_new_tokens: int | None = Field(100, ge=1)
    do_sample: bool = False
    temperature: float | None = Field(None, gt=0, le=5)
    top_k: int | None = Field(None, gt=0)
    top_p: float | None = Field(None, gt=0, le=1)
    repetition_penalty: float | None = Field(None, ge=0.1, le=10)
    seed: int | None = Field(None, ge=0)
    stop: list[str] = []
    return_full_text: bool | None = False
    details: bool = False

    def sampling(self) -> SamplingParams:
        sample = self.do_sample or any(value is not None for value in (self.temperature, self.top_k, self.top_p))
        return SamplingParams(
            max_new_tokens=self.max_new_tokens or 100,
            temperature=(self.temperature or 1.0) if sample else 0,
            top_k=self.top_k or 0,
            top_p=self.top_p or 1.0,
            repetition_penalty=self.repetition_penalty or 1.0,
            seed=fitting_seed(self.seed),
            stop=stop_sequences(self.stop),
        )


class GenerateBody(BaseModel):
    model: str | None = None
    inputs: str
    parameters: Parameters = Field(default_factory=lambda: Parameters.model_validate({}))


def tgi_routes(server: Server) -> APIRouter:
    router = APIRouter(
        tags=["Text Generation Inference"], route_class=route_class(_error_body, server.settings.max_request_bytes)
    )

    async def start(body: GenerateBody, request: Request) -> Run:
        sampling = body.parameters.sampling()
        return await server.start(
            request, body.model, lambda tokenizer: [raw_request(body.inputs, sampling, tokenizer)]
        )

    @router.post("/generate")
    async def generate(body: GenerateBody, request: Request) -> Response:
        """Continue ``inputs``, which may be a whole fill-in-the-middle prompt."""
        text = (await finish(await start(body, request), request))[0]
        answer: dict[str, Any] = {"generated_text": _full_text(body, text)}
        if body.parameters.details:
            answer["details"] = _details(text)
        return JSONResponse(answer)

    @router.post("/generate_stream")
    async def generate_stream(body: GenerateBody, request: Request) -> Response:
        """The same, as server-sent events."""
        run = await start(body, request)
        return RunResponse(run, _lines(body, run))

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
            "max_best_of": 1,
            "max_stop_sequences": MAX_STOP_SEQUENCES,
            "max_input_tokens": runner.n_positions - 1,
            "max_total_tokens": runner.n_positions,
            "router": "santacoder",
        }

    return router


async def _lines(body: GenerateBody, run: Run) -> AsyncIterator[str]:
    text = run.texts[0]
    index = 0
    try:
        async for piece in run.pieces():
            index += 1
            token = {"id": text.last_id, "text": piece.text, "logprob": text.last_logprob, "special": not piece.text}
            event: dict[str, Any] = {"index": index, "token": token, "generated_text": None, "details": None}
            if piece.reason:
                event |= {"generated_text": _full_text(body, text), "details": _details(text)}
            yield f"data:{json.dumps(event)}\n\n"
    except ApiError as error:
        yield f"data:{json.dumps(_error_body(*explain(error)))}\n\n"


def _full_text(body: GenerateBody, text: Text) -> str:
    return body.inputs + text.text if body.parameters.return_full_text else text.text


def _details(text: Text) -> dict[str, Any]:
    return {
        "finish_reason": _REASONS[text.end],
        "generated_tokens": text.n_written,
        "input_length": text.stream.n_prompt,
        "seed": text.stream.seed,
    }


def _error_body(status: int, message: str) -> dict[str, Any]:
    return {"error": message, "error_type": _ERROR_TYPES.get(status, "validation" if status < 500 else "generation")}
