"""Mistral's fill-in-the-middle: POST /v1/fim/completions, as its Python client and Continue use it.

https://docs.mistral.ai/api/endpoint/fim
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from app.api.error_responses import explain, route_class
from app.api.fields import EndFields, Number, Stop, unsupported
from app.api.openai import event, usage
from app.api.openai_errors import error_body
from app.api.prompts import (
    UNLIMITED_NEW_TOKENS,
    fitting_seed,
    gap_request,
    raw_request,
    stop_sequences,
    temperature_and_top_p,
)
from app.api.start import start_run
from app.api.streams import Run, RunResponse, finish
from app.context import Server
from app.errors import ApiError
from santacoder.engine.request import CompletionRequest
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer


class FimBody(EndFields):
    """Fields of the protocol. Its defaults depend on the model; the defaults here are those of its code models."""

    model: str | None = None
    prompt: str
    suffix: str = ""
    max_tokens: int = Field(UNLIMITED_NEW_TOKENS, ge=0)
    min_tokens: Annotated[int, unsupported(lambda value: value == 0)] = 0
    temperature: Number = Field(0.3, ge=0, le=1.5)
    top_p: Number = Field(1.0, ge=0, le=1)
    random_seed: int | None = None
    stop: Stop = []
    stream: bool = False

    def request(self, tokenizer: Tokenizer, default_seed: int | None) -> CompletionRequest:
        temperature, top_p = temperature_and_top_p(self.temperature, self.top_p)
        sampling = SamplingParams(
            max_new_tokens=self.max_tokens,
            temperature=temperature,
            top_p=top_p,
            seed=fitting_seed(self.random_seed, default_seed),
            stop=stop_sequences(self.stop),
        )
        if self.suffix:
            return self.with_ends(gap_request(self.prompt, self.suffix, sampling))
        return self.with_ends(raw_request(self.prompt, sampling, tokenizer))


def mistral_routes(server: Server) -> APIRouter:
    router = APIRouter(prefix="/v1/fim", tags=["Mistral"], route_class=route_class(error_body))

    @router.post("/completions")
    async def completions(body: FimBody, request: Request) -> Response:
        """Fill the gap between ``prompt`` and ``suffix``; without a suffix, continue the prompt."""
        run = await start_run(
            server, request, body.model, lambda tokenizer: [body.request(tokenizer, server.settings.seed)]
        )
        name = server.answered_name(body.model, run.model.name)
        heading = {"id": secrets.token_hex(16), "created": int(time.time()), "model": name}
        if body.stream:
            return RunResponse(run, _lines(run, {**heading, "object": "chat.completion.chunk"}))
        (text,) = await finish(run, request)
        message = {"role": "assistant", "content": text.text, "tool_calls": None, "prefix": False}
        choice = {"index": 0, "message": message, "finish_reason": text.reason}
        return JSONResponse({**heading, "object": "chat.completion", "choices": [choice], "usage": usage([text])})

    return router


async def _lines(run: Run, heading: dict[str, Any]) -> AsyncIterator[str]:
    """Server-sent events; the last one contains the usage."""
    try:
        async for piece in run.pieces():
            delta = {"role": "assistant", "content": piece.text}
            choice = {"index": 0, "delta": delta, "finish_reason": piece.reason}
            yield event({**heading, "choices": [choice], "usage": usage(run.texts) if piece.reason else None})
    except ApiError as error:
        yield event(error_body(explain(error)))
        return
    yield "data: [DONE]\n\n"
