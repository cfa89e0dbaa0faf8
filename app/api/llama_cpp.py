"""llama.cpp's server as llama.vim, llama.vscode and Continue use it: /infill, /completion and what is around them.

https://github.com/ggml-org/llama.cpp/tree/master/tools/server
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from app.api.errors import ApiError, explain, route_class
from app.api.prompts import UNLIMITED_NEW_TOKENS, fitting_seed, gap_request, raw_request, stop_sequences
from app.api.running import Run, RunResponse, Server, Text, finish
from santacoder.sampling import SamplingParams

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    503: "unavailable_error",
}
_STOP_TYPES = {"end": "eos", "word": "word", "limit": "limit"}


class SamplingBody(BaseModel):
    """Fields and defaults that /infill and /completion share."""

    model: str | None = None
    n_predict: int = Field(-1, ge=-1)
    temperature: float = Field(0.8, ge=0, le=5)
    top_k: int = Field(40, ge=0)
    top_p: float = Field(0.95, gt=0, le=1)
    repeat_penalty: float = Field(1.0, ge=0.1, le=10)
    samplers: list[str] | None = None
    seed: int = -1
    stop: str | list[str] | None = None
    stream: bool = False
    n_cmpl: int = Field(1, ge=1, le=32)
    n_indent: int = Field(0, ge=0)
    t_max_predict_ms: int = 0
    response_fields: list[str] | None = None

    def sampling(self, index: int) -> SamplingParams:
        # the sampler "infill" takes the likeliest continuation unless it is unsure; so do we
        greedy = self.samplers is not None and "infill" in self.samplers
        return SamplingParams(
            max_new_tokens=UNLIMITED_NEW_TOKENS if self.n_predict < 0 else self.n_predict,
            temperature=0 if greedy and index == 0 else self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            repetition_penalty=self.repeat_penalty,
            seed=fitting_seed(self.seed, index),
            stop=stop_sequences(self.stop),
        )


class Extra(BaseModel):
    """Text from elsewhere in the project."""

    filename: str = ""
    text: str


class InfillBody(SamplingBody):
    input_prefix: str = ""
    input_suffix: str = ""
    input_extra: list[Extra] = []
    prompt: str = ""


class CompletionBody(SamplingBody):
    prompt: str | list[Annotated[int, Field(ge=0)]]


class TokenizeBody(BaseModel):
    model: str | None = None
    content: str
    parse_special: bool = True
    with_pieces: bool = False


class DetokenizeBody(BaseModel):
    model: str | None = None
    tokens: list[Annotated[int, Field(ge=0)]]


def llama_cpp_routes(server: Server) -> APIRouter:
    router = APIRouter(tags=["llama.cpp"], route_class=route_class(_error_body, server.settings.max_request_bytes))

    async def answer(body: SamplingBody, run: Run, request: Request) -> Response:
        if body.stream:
            return RunResponse(run, _lines(run))
        texts = await finish(run, request, lambda piece: _enough(run.texts[piece.index], body))
        results = [_chosen(_result(text, run, _within_indent(text.text, body.n_indent)), body) for text in texts]
        return JSONResponse(results if body.n_cmpl > 1 else results[0])

    @router.post("/infill")
    async def infill(body: InfillBody, request: Request) -> Response:
        """What belongs between ``input_prefix`` + ``prompt`` and ``input_suffix``."""
        prefix = _extras(body.input_extra) + body.input_prefix + body.prompt
        if not prefix and not body.input_suffix:
            return JSONResponse({} if body.response_fields else {"content": "", "stop": True})
        run = await server.start(
            request,
            body.model,
            lambda _: [gap_request(prefix, body.input_suffix, body.sampling(index)) for index in range(body.n_cmpl)],
        )
        return await answer(body, run, request)

    @router.post("/completion")
    async def completion(body: CompletionBody, request: Request) -> Response:
        """Continue ``prompt``, which may be a whole fill-in-the-middle prompt."""
        run = await server.start(
            request,
            body.model,
            lambda tokenizer: [
                raw_request(body.prompt, body.sampling(index), tokenizer) for index in range(body.n_cmpl)
            ],
        )
        return await answer(body, run, request)

    @router.get("/props")
    async def props() -> dict[str, Any]:
        model = await server.acquire(None)
        model.release()
        runner = model.engine.runner
        return {
            "default_generation_settings": {"n_ctx": runner.n_positions},
            "total_slots": runner.n_slots,
            "model_path": server.default_model,
            "chat_template": "",
            "modalities": {"vision": False, "audio": False},
            "build_info": f"santacoder-{model.sha[:8]}",
        }

    @router.post("/tokenize")
    async def tokenize(body: TokenizeBody) -> dict[str, Any]:
        model = await server.acquire(body.model)
        model.release()
        tokenizer = model.engine.tokenizer
        ids = tokenizer.encode(body.content, allow_special=body.parse_special)
        if not body.with_pieces:
            return {"tokens": ids}
        return {"tokens": [{"id": token_id, "piece": _piece(tokenizer.decode_bytes([token_id]))} for token_id in ids]}

    @router.post("/detokenize")
    async def detokenize(body: DetokenizeBody) -> dict[str, str]:
        model = await server.acquire(body.model)
        model.release()
        if any(token_id >= model.engine.tokenizer.vocab_size for token_id in body.tokens):
            raise ApiError(400, f"tokens: the model's go from 0 to {model.engine.tokenizer.vocab_size - 1}.")
        return {"content": model.engine.tokenizer.decode(body.tokens)}

    return router


def _extras(extras: list[Extra]) -> str:
    """Other files go before the prefix, where they are the first to be cut."""
    headings = (f"# {extra.filename}\n" if extra.filename else "" for extra in extras)
    return "".join(f"{heading}{extra.text}\n\n" for heading, extra in zip(headings, extras, strict=True))


def _enough(text: Text, body: SamplingBody) -> bool:
    """Whether what more may come would be cut, or the client's time is over after the first line."""
    if body.n_indent and len(_within_indent(text.text, body.n_indent)) < len(text.text):
        return True
    spent = (time.perf_counter() - text.first_at) * 1000
    return 0 < body.t_max_predict_ms < spent and "\n" in text.text


def _within_indent(text: str, n_indent: int) -> str:
    """``text`` up to the first later line that is indented by less than ``n_indent`` characters."""
    for line in re.finditer(r"\n([ \t]*)[^ \t\n]", text):
        if len(line[1]) < n_indent:
            return text[: line.start()]
    return text


def _result(text: Text, run: Run, content: str) -> dict[str, Any]:
    return {
        "index": text.index,
        "content": content,
        "stop": True,
        "stop_type": _STOP_TYPES[text.end],
        "model": f"{run.model.repo_id}@{run.model.revision}",
        "tokens_predicted": text.n_written,
        "tokens_evaluated": text.stream.n_prompt,
        "tokens_cached": text.stream.n_prompt + text.n_written,
        "truncated": bool(text.stream.notices),
        "timings": {
            "cache_n": text.stream.n_cached,
            **_timing("prompt", text.stream.n_prompt - text.stream.n_cached, text.first_at - run.started),
            **_timing("predicted", text.n_written, text.last_at - text.first_at),
        },
    }


def _timing(phase: str, count: int, seconds: float) -> dict[str, float]:
    return {
        f"{phase}_n": count,
        f"{phase}_ms": seconds * 1000,
        f"{phase}_per_token_ms": seconds * 1000 / max(1, count),
        f"{phase}_per_second": count / seconds if seconds else 0.0,
    }


def _chosen(result: dict[str, Any], body: SamplingBody) -> dict[str, Any]:
    """The fields asked for, by their whole names: ``timings/prompt_n`` moves to the root."""
    if body.response_fields is None:
        return result
    flat = {**result, **{f"timings/{name}": value for name, value in result["timings"].items()}}
    return {name: flat[name] for name in body.response_fields if name in flat}


async def _lines(run: Run) -> AsyncIterator[str]:
    try:
        async for piece in run.pieces():
            text = run.texts[piece.index]
            last = _result(text, run, piece.text) if piece.reason else None
            yield f"data: {json.dumps(last or {'index': piece.index, 'content': piece.text, 'stop': False})}\n\n"
    except ApiError as error:
        yield f"error: {json.dumps(_error_body(*explain(error)))}\n\n"


def _piece(token: bytes) -> str | list[int]:
    """Text, or the bytes of what is only part of a character."""
    try:
        return token.decode("utf-8")
    except UnicodeDecodeError:
        return list(token)


def _error_body(status: int, message: str) -> dict[str, Any]:
    kind = _ERROR_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"code": status, "message": message, "type": kind}}
