"""Ollama as Continue and others use it: /api/generate, /api/tags, /api/show.

https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from datetime import datetime, timezone
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from app.api.errors import ApiError, explain, route_class
from app.api.prompts import UNLIMITED_NEW_TOKENS, fitting_seed, gap_request, raw_request, stop_sequences
from app.api.running import Run, RunResponse, Server, Text, finish
from santacoder import checkpoints
from santacoder.engine.request import CompletionRequest
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer

_EPOCH = "1970-01-01T00:00:00Z"


class Options(BaseModel):
    """Fields and defaults of the protocol."""

    num_predict: int = -1
    temperature: float = Field(0.8, ge=0, le=5)
    top_k: int = Field(40, ge=0)
    top_p: float = Field(0.9, gt=0, le=1)
    repeat_penalty: float = Field(1.0, ge=0.1, le=10)
    seed: int | None = None
    stop: str | list[str] | None = None

    def sampling(self) -> SamplingParams:
        return SamplingParams(
            max_new_tokens=UNLIMITED_NEW_TOKENS if self.num_predict < 0 else self.num_predict,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            repetition_penalty=self.repeat_penalty,
            seed=fitting_seed(self.seed),
            stop=stop_sequences(self.stop),
        )


class GenerateBody(BaseModel):
    model: str | None = None
    prompt: str = ""
    suffix: str | None = None
    stream: bool = True
    options: Options = Field(default_factory=lambda: Options.model_validate({}))


class ShowBody(BaseModel):
    model: str | None = None
    name: str | None = None


def ollama_routes(server: Server) -> APIRouter:
    router = APIRouter(
        prefix="/api", tags=["Ollama"], route_class=route_class(_error_body, server.settings.max_request_bytes)
    )

    @router.post("/generate")
    async def generate(body: GenerateBody, request: Request) -> Response:
        """Continue ``prompt``, or with a ``suffix`` fill in what belongs between the two."""
        name = body.model or server.default_model
        if not body.prompt and not body.suffix:  # how clients ask for a model to be loaded
            (await server.acquire(body.model)).release()
            return JSONResponse({**_heading(name), "response": "", "done": True, "done_reason": "load"})
        run = await server.start(request, body.model, lambda tokenizer: [_request(body, tokenizer)])
        if body.stream:
            return RunResponse(run, _lines(name, run), "application/x-ndjson")
        text = (await finish(run, request))[0]
        return JSONResponse(_last(name, run, text, text.text))

    @router.get("/tags")
    def tags() -> dict[str, Any]:
        """Every branch here."""
        return {"models": [_tag(server, name) for name in server.revisions()]}

    @router.post("/show")
    async def show(body: ShowBody) -> dict[str, Any]:
        model = await server.acquire(body.model or body.name)
        model.release()
        runner = model.engine.runner
        return {
            "details": _details(runner.precision),
            "model_info": {
                "general.architecture": "gpt_bigcode",
                "gpt_bigcode.context_length": runner.n_positions,
                "general.commit": model.sha,
            },
            "parameters": "",
            "template": "{{ .Prompt }}",
            "capabilities": ["completion", "insert"],
        }

    return router


def _request(body: GenerateBody, tokenizer: Tokenizer) -> CompletionRequest:
    if body.suffix:
        return gap_request(body.prompt, body.suffix, body.options.sampling())
    return raw_request(body.prompt, body.options.sampling(), tokenizer)


async def _lines(name: str, run: Run) -> AsyncIterator[str]:
    text = run.texts[0]
    try:
        async for piece in run.pieces():
            if piece.reason:
                yield json.dumps(_last(name, run, text, piece.text)) + "\n"
            else:
                yield json.dumps({**_heading(name), "response": piece.text, "done": False}) + "\n"
    except ApiError as error:
        yield json.dumps(_error_body(*explain(error))) + "\n"


def _heading(name: str) -> dict[str, Any]:
    return {"model": name, "created_at": datetime.now(timezone.utc).isoformat()}


def _last(name: str, run: Run, text: Text, response: str) -> dict[str, Any]:
    """The last line; durations are in nanoseconds."""
    return {
        **_heading(name),
        "response": response,
        "done": True,
        "done_reason": "length" if text.end == "limit" else "stop",
        "total_duration": int((time.perf_counter() - run.started) * 1e9),
        "load_duration": 0,
        "prompt_eval_count": text.stream.n_prompt,
        "prompt_eval_duration": int((text.first_at - run.started) * 1e9),
        "eval_count": text.n_written,
        "eval_duration": int((text.last_at - text.first_at) * 1e9),
    }


def _tag(server: Server, name: str) -> dict[str, Any]:
    repo_id, _, revision = name.partition("@")
    try:
        snapshot = checkpoints.resolve(repo_id, revision, store=server.settings.store)
        digest, size = snapshot.name, sum(path.stat().st_size for path in snapshot.glob("*") if path.is_file())
        date = checkpoints.log(repo_id, revision, store=server.settings.store)[0].date
    except checkpoints.CheckpointError:
        digest, size, date = "", 0, ""
    return {
        "name": name,
        "model": name,
        "modified_at": date or _EPOCH,
        "size": size,
        "digest": digest,
        "details": _details(""),
    }


def _details(precision: str) -> dict[str, Any]:
    return {
        "format": "safetensors",
        "family": "gpt_bigcode",
        "families": ["gpt_bigcode"],
        "quantization_level": precision,
    }


def _error_body(status: int, message: str) -> dict[str, Any]:
    return {"error": message}
