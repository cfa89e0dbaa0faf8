"""llama.cpp's server as llama.vim, llama.vscode and Continue use it: /infill, /completion and related endpoints.

https://github.com/ggml-org/llama.cpp/tree/master/tools/server
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from app.api.error_responses import route_class
from app.api.llama_cpp.answers import chosen, error_body, generation_settings, lines, result
from app.api.llama_cpp.bodies import (
    ANY_SEED,
    CompletionBody,
    DetokenizeBody,
    InfillBody,
    SamplingBody,
    TokenizeBody,
    infill_request,
    logit_bias,
    prompt_request,
)
from app.api.openai import model_list
from app.api.start import start_run
from app.api.streams import RunResponse, finish
from app.api.texts import Piece, Text
from app.context import Server
from app.errors import ApiError
from santacoder.engine.request import CompletionRequest
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer

_TOKENS_AT_ONCE = 16_384


def llama_cpp_routes(server: Server) -> APIRouter:
    router = APIRouter(tags=["llama.cpp"], route_class=route_class(error_body))

    async def answer(
        body: SamplingBody,
        request: Request,
        prepare: Callable[[Tokenizer], list[Callable[[SamplingParams], CompletionRequest]]],
    ) -> Response:
        """``prepare`` returns one function per prompt, which makes a request from sampling parameters."""

        def requests(tokenizer: Tokenizer) -> Iterator[CompletionRequest]:
            biases = logit_bias(body.logit_bias, tokenizer)
            samplings = [body.sampling(index, biases, server.settings.seed) for index in range(body.n_cmpl)]
            for make in prepare(tokenizer):
                for sampling in samplings:
                    yield body.with_ends(replace(make(sampling), use_cache=body.cache_prompt))

        run = await start_run(server, request, body.model, requests)
        if body.stream:
            return RunResponse(run, lines(run, body))
        texts = await finish(run, request, lambda piece: _enough(run.texts[piece.index], piece, body))
        results = [
            chosen(result(text, run, body, _within_indent(text.text, body.n_indent)), body.response_fields)
            for text in texts
        ]
        return JSONResponse(results if len(results) > 1 else results[0])

    @router.post("/infill")
    async def infill(body: InfillBody, request: Request) -> Response:
        """Fill the gap between ``input_prefix`` + ``prompt`` and ``input_suffix``."""
        if not (body.input_extra or body.input_prefix or body.prompt or body.input_suffix):
            return JSONResponse({} if body.response_fields else {"content": "", "stop": True})
        return await answer(body, request, lambda _: [partial(infill_request, body)])

    @router.post("/completion")
    @router.post("/completions", include_in_schema=False)
    async def completion(body: CompletionBody, request: Request) -> Response:
        """Continue ``prompt``, which may be a whole fill-in-the-middle prompt, or each of several prompts."""
        return await answer(
            body,
            request,
            lambda tokenizer: [partial(prompt_request, prompt, tokenizer=tokenizer) for prompt in body.prompts],
        )

    @router.get("/props")
    async def props(model: str | None = None) -> dict[str, Any]:
        """A model, by default the server's own, and the default parameters."""
        served = await server.acquire(model)
        served.release()
        runner, tokenizer = served.engine.runner, served.engine.tokenizer
        seed = ANY_SEED if server.settings.seed is None else server.settings.seed
        end_of_text = tokenizer.decode([tokenizer.end_of_text_id])
        return {
            "default_generation_settings": {
                "params": generation_settings(SamplingBody.model_validate({}), seed),
                "n_ctx": runner.n_positions,
            },
            "total_slots": runner.n_slots,
            "model_alias": served.name,
            "model_path": served.name,
            "modalities": {"vision": False, "video": False, "audio": False},
            "endpoint_slots": server.settings.slots,
            "endpoint_props": False,
            "endpoint_metrics": True,
            "chat_template": "",
            "bos_token": end_of_text,
            "eos_token": end_of_text,
            "build_info": f"santacoder-{served.sha[:8]}",
            "is_sleeping": False,
        }

    @router.get("/slots")
    async def slots() -> list[dict[str, Any]]:
        """The slots of the server's own model, and which of them are in use."""
        if not server.settings.slots:
            raise ApiError(501, "This server does not report its slots; start it without --no-slots.")
        model = await server.acquire(None)
        model.release()
        busy = model.engine.busy_slots
        n_positions = model.engine.runner.n_positions
        return [
            {"id": slot, "n_ctx": n_positions, "speculative": True, "is_processing": slot in busy}
            for slot in range(model.engine.runner.n_slots)
        ]

    @router.get("/models", include_in_schema=False)
    def models() -> dict[str, Any]:
        return model_list(server)

    @router.post("/tokenize")
    async def tokenize(body: TokenizeBody) -> Response:
        """The tokens of ``content``; ``add_special`` has no effect, as the model has no beginning-of-text token."""
        model = await server.acquire(body.model)
        model.release()
        return await run_in_threadpool(_tokenized, body, model.engine.tokenizer)

    @router.post("/detokenize")
    async def detokenize(body: DetokenizeBody) -> Response:
        model = await server.acquire(body.model)
        model.release()
        return await run_in_threadpool(_detokenized, body, model.engine.tokenizer)

    return router


def _tokenized(body: TokenizeBody, tokenizer: Tokenizer) -> Response:
    ids = tokenizer.encode(body.content, allow_special=body.parse_special)
    if body.with_pieces:
        shown = {id_: json.dumps({"id": id_, "piece": _piece(tokenizer.decode_bytes([id_]))}) for id_ in set(ids)}
    else:
        shown = {id_: str(id_) for id_ in set(ids)}
    return StreamingResponse(_token_list([shown[id_] for id_ in ids]), media_type="application/json")


def _token_list(shown: list[str]) -> Iterator[str]:
    """The response in parts, between which others are served: a large text has millions of tokens."""
    yield '{"tokens":['
    for start in range(0, len(shown), _TOKENS_AT_ONCE):
        yield "," * (start > 0) + ",".join(shown[start : start + _TOKENS_AT_ONCE])
    yield "]}"


def _detokenized(body: DetokenizeBody, tokenizer: Tokenizer) -> Response:
    if any(token_id >= tokenizer.vocab_size for token_id in body.tokens):
        raise ApiError(400, f"tokens: ids must be between 0 and {tokenizer.vocab_size - 1}.")
    return JSONResponse({"content": tokenizer.decode(body.tokens)})


def _enough(text: Text, piece: Piece, body: SamplingBody) -> bool:
    """Whether further text would be cut, or a line ends after the client's time limit."""
    if body.n_indent:
        shown = text.text
        # earlier lines have been looked at with earlier pieces
        last_line = shown[max(0, shown.rfind("\n", 0, len(shown) - len(piece.text))) :]
        if len(_within_indent(last_line, body.n_indent)) < len(last_line):
            return True
    spent = (text.last_at - text.first_at) * 1000
    return 0 < body.t_max_predict_ms < spent and "\n" in piece.text


def _within_indent(text: str, n_indent: int) -> str:
    """``text`` up to the first later line indented by less than ``n_indent`` characters."""
    for line in re.finditer(r"\r?\n([ \t]*)[^ \t\r\n]", text):
        if len(line[1]) < n_indent:
            return text[: line.start()]
    return text


def _piece(token: bytes) -> str | list[int]:
    """The token's text, or its bytes if it is only part of a character."""
    try:
        return token.decode("utf-8")
    except UnicodeDecodeError:
        return list(token)
