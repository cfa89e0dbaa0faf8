"""Text Generation Inference as its own clients, llm-ls and Continue use it: /generate, /generate_stream, / and /info.

https://huggingface.github.io/text-generation-inference
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from app.api.error_responses import Explanation, explain, route_class
from app.api.fields import Body, EndFields, Number, unsupported
from app.api.openai import best_first
from app.api.prompts import fitting_seed, raw_request, stop_sequences
from app.api.start import MAX_TEXTS, start_run
from app.api.streams import Run, RunResponse, finish
from app.api.texts import Text, by_token
from app.context import Server
from app.errors import ApiError
from santacoder.engine.accumulator import Alternative, Token
from santacoder.engine.request import CompletionRequest
from santacoder.sampling import MAX_STOP_SEQUENCES, SamplingParams
from santacoder.tokenizer import Tokenizer

_REASONS = {"end": "eos_token", "word": "stop_sequence", "limit": "length"}
_ERROR_TYPES = {404: "not_found", 429: "overloaded", 503: "overloaded"}


def tgi_routes(server: Server) -> APIRouter:
    router = APIRouter(tags=["Text Generation Inference"], route_class=route_class(error_body))

    async def whole(body: GenerateBody, request: Request) -> dict[str, Any]:
        run = await start_run(
            server, request, body.model, lambda tokenizer: body.requests(tokenizer, server.settings.seed)
        )
        await finish(run, request)
        return answer(body, run)

    async def streamed(body: GenerateBody, request: Request) -> Response:
        body.check_stream()
        run = await start_run(
            server, request, body.model, lambda tokenizer: body.requests(tokenizer, server.settings.seed)
        )
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


class Parameters(EndFields):
    """Fields and defaults of the protocol; any sampling parameter enables sampling."""

    max_new_tokens: int = Field(100, ge=1)
    do_sample: bool = False
    best_of: int = Field(1, ge=1, le=32)
    temperature: Number | None = Field(None, gt=0, le=5)
    top_k: int | None = Field(None, gt=0)
    top_p: Number | None = Field(None, gt=0, le=1)
    repetition_penalty: Number = Field(1.0, ge=0.1, le=10)
    frequency_penalty: Number = Field(0.0, ge=-2, le=2)
    seed: int | None = Field(None, ge=0)
    stop: list[str] = []
    truncate: int | None = Field(None, ge=1)
    return_full_text: bool = False
    details: bool = False
    decoder_input_details: bool = False
    top_n_tokens: int = Field(0, ge=0, le=5)
    typical_p: Annotated[Number, unsupported(lambda value: value == 1)] = 1.0
    watermark: Annotated[bool, unsupported(lambda value: not value)] = False
    grammar: Annotated[Any, unsupported()] = None
    adapter_id: Annotated[str, unsupported(lambda value: not value)] = ""

    @property
    def samples(self) -> bool:
        return self.do_sample or any(value is not None for value in (self.temperature, self.top_k, self.top_p))

    def sampling(self, index: int, default_seed: int | None) -> SamplingParams:
        return SamplingParams(
            max_new_tokens=self.max_new_tokens,
            temperature=(self.temperature or 1.0) if self.samples else 0,
            top_k=self.top_k or 0,
            top_p=self.top_p or 1.0,
            repetition_penalty=self.repetition_penalty,
            frequency_penalty=self.frequency_penalty,
            seed=fitting_seed(self.seed, default_seed, index),
            stop=stop_sequences(self.stop),
            top_logprobs=self.top_n_tokens,
        )


class GenerateBody(Body):
    model: str | None = None
    inputs: str
    parameters: Parameters = Field(default_factory=lambda: Parameters.model_validate({}))
    stream: bool = False

    def requests(self, tokenizer: Tokenizer, default_seed: int | None) -> list[CompletionRequest]:
        """One request for each text of ``best_of``.

        Raises:
            ApiError: the parameters contradict each other.
        """
        if not self.inputs:
            raise ApiError(400, "inputs must not be empty.")
        if self.parameters.best_of > 1 and not self.parameters.samples:
            raise ApiError(400, "best_of needs sampling: without it, all texts would be the same.")
        samplings = [self.parameters.sampling(index, default_seed) for index in range(self.parameters.best_of)]
        return [self._request(sampling, tokenizer) for sampling in samplings]

    def check_stream(self) -> None:
        """
        Raises:
            ApiError: a parameter is not available in streams.
        """
        if self.parameters.best_of > 1:
            raise ApiError(400, "best_of cannot be streamed: which text is the best is known only at the end.")
        if self.parameters.decoder_input_details:
            raise ApiError(400, "decoder_input_details cannot be streamed.")

    def _request(self, sampling: SamplingParams, tokenizer: Tokenizer) -> CompletionRequest:
        echo = self.parameters.details and self.parameters.decoder_input_details
        request = self.parameters.with_ends(raw_request(self.inputs, sampling, tokenizer, echo=echo))
        if self.parameters.truncate is None or len(ids := tokenizer.encode(request.prefix)) <= self.parameters.truncate:
            return request
        # TGI keeps the last tokens of the input, but would lose the first sentinel of a fill-in-the-middle prompt
        return replace(request, prefix_ids=tuple(ids[-self.parameters.truncate :]))


def answer(body: GenerateBody, run: Run) -> dict[str, Any]:
    """The best text; the others are in its details."""
    text, *others = best_first(run.texts)
    found: dict[str, Any] = {"generated_text": _full_text(body, text)}
    if body.parameters.details:
        found["details"] = _details(body, text, run)
        if others:
            found["details"]["best_of_sequences"] = [
                {"generated_text": _full_text(body, other), **_details(body, other, run)} for other in others
            ]
    return found


async def lines(body: GenerateBody, run: Run) -> AsyncIterator[str]:
    """Server-sent events, one per token. The last has the whole text, and no token if it shows nothing."""
    text = run.texts[0]
    index = 0

    def event(token: Token | None, shown: str, *, last: bool) -> str:
        nonlocal index
        index += 1
        told: dict[str, Any] = {"index": index, "token": _shown(token, shown, text, run)}
        if body.parameters.top_n_tokens:
            told["top_tokens"] = [_token(likely, run) for likely in token.top] if token else []
        told |= {"generated_text": None, "details": None}
        if last:
            told |= {"generated_text": _full_text(body, text), "details": _stream_details(body, text)}
        return f"data:{json.dumps(told)}\n\n"

    try:
        async for piece in run.pieces():
            shown = list(by_token(text, piece)) or ([(None, "")] if piece.reason else [])
            for number, (token, part) in enumerate(shown, 1):
                yield event(token, part, last=piece.reason is not None and number == len(shown))
    except ApiError as error:
        yield f"data:{json.dumps(error_body(explain(error)))}\n\n"


def error_body(explanation: Explanation) -> dict[str, Any]:
    status, message, *_ = explanation
    return {"error": message, "error_type": _ERROR_TYPES.get(status, "validation" if status < 500 else "generation")}


def _full_text(body: GenerateBody, text: Text) -> str:
    written = text.text[_n_echoed(text) :]
    return body.inputs + written if body.parameters.return_full_text else written


def _n_echoed(text: Text) -> int:
    """The number of characters of the prompt in a text that echoes it."""
    return sum(len(token.text) for token in text.tokens[: text.n_echoed])


def _details(body: GenerateBody, text: Text, run: Run) -> dict[str, Any]:
    tokens = text.tokens[text.n_echoed :]
    details: dict[str, Any] = {
        "finish_reason": _REASONS[text.end],
        "generated_tokens": text.n_written,
        "input_length": text.stream.n_prompt,
        "seed": text.stream.seed if body.parameters.samples else None,
        "prefill": [
            {"id": token.id, "text": token.text, "logprob": token.logprob} for token in text.tokens[: text.n_echoed]
        ],
        "tokens": [_token(token, run) for token in tokens],
    }
    if body.parameters.top_n_tokens:
        details["top_tokens"] = [[_token(likely, run) for likely in token.top] for token in tokens]
    return details


def _stream_details(body: GenerateBody, text: Text) -> dict[str, Any]:
    return {
        "finish_reason": _REASONS[text.end],
        "generated_tokens": text.n_written,
        "input_length": text.stream.n_prompt,
        "seed": text.stream.seed if body.parameters.samples else None,
    }


def _token(token: Token | Alternative, run: Run) -> dict[str, Any]:
    special = token.id in run.model.engine.tokenizer.special_ids
    return {"id": token.id, "text": token.text, "logprob": token.logprob or 0.0, "special": special}


def _shown(token: Token | None, shown: str, text: Text, run: Run) -> dict[str, Any]:
    """A token of a stream, with the text that it adds; nothing if it is a special token."""
    if token is None:
        return {"id": text.last_id, "text": shown, "logprob": text.last_logprob, "special": not shown}
    return {**_token(token, run), "text": shown}
