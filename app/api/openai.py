"""OpenAI's completions: POST /v1/completions, GET /v1/models.

https://platform.openai.com/docs/api-reference/completions
"""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import AliasChoices, BeforeValidator, Discriminator, Field, Tag

from app.api.error_responses import explain, route_class
from app.api.fields import Body, EndFields, Number, Stop, TokenIds, one_of, unsupported
from app.api.openai_errors import error_body
from app.api.prompts import fitting_seed, gap_request, raw_request, stop_sequences, temperature_and_top_p
from app.api.start import start_run
from app.api.streams import Run, RunResponse, finish
from app.api.tabby import TabbyBody, tabby_completion
from app.api.texts import Text
from app.context import Server
from app.errors import ApiError
from santacoder import checkpoints
from santacoder.checkpoints import CheckpointError
from santacoder.engine.accumulator import Token
from santacoder.engine.request import CompletionRequest
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer

Prompts = Annotated[
    str | Annotated[list[str], Field(min_length=1)] | TokenIds | Annotated[list[TokenIds], Field(min_length=1)],
    one_of("Input should be text, a list of texts, a list of token ids, or a list of such lists"),
]


def _none_if_false(value: Any) -> Any:
    """Clients that know the chat protocol send ``false``, which would be read as 0."""
    return None if value is False else value


class StreamOptions(Body):
    include_usage: bool = False


class CompletionBody(EndFields):
    """Fields and defaults of the protocol."""

    model: str | None = None
    prompt: Prompts = ""
    suffix: str = ""
    max_tokens: int = Field(16, ge=0, validation_alias=AliasChoices("max_tokens", "max_completion_tokens", "n_predict"))
    temperature: Number = Field(1.0, ge=0, le=2)
    top_p: Number = Field(1.0, ge=0, le=1)
    n: int = Field(1, ge=1, le=32)
    best_of: int | None = Field(None, ge=1, le=32)
    stream: bool = False
    stream_options: StreamOptions = Field(default_factory=StreamOptions)
    logprobs: Annotated[int | None, BeforeValidator(_none_if_false)] = Field(None, ge=0, le=5)
    echo: bool = False
    stop: Stop = []
    seed: int | None = None
    logit_bias: Annotated[dict[int, Number], one_of("Input should be an object of token ids and numbers")] = {}
    frequency_penalty: Number = Field(0.0, ge=-2, le=2)
    presence_penalty: Number = Field(0.0, ge=-2, le=2)
    # not OpenAI's, but named as in other servers of open models
    top_k: int = Field(0, ge=-1)
    min_p: Number = Field(0.0, ge=0, le=1)
    repetition_penalty: Number = Field(1.0, ge=0.1, le=10)
    ignore_eos: bool = False
    min_tokens: Annotated[int, unsupported(lambda value: value == 0)] = 0
    stop_token_ids: Annotated[list[int], unsupported(lambda value: not value)] = []
    response_format: Annotated[Any, unsupported(lambda value: value == {"type": "text"})] = None
    grammar: Annotated[Any, unsupported(lambda value: value == "")] = None
    json_schema: Annotated[Any, unsupported()] = None
    structured_outputs: Annotated[Any, unsupported()] = None
    guided_json: Annotated[Any, unsupported()] = None
    guided_regex: Annotated[Any, unsupported()] = None
    guided_grammar: Annotated[Any, unsupported()] = None
    guided_choice: Annotated[Any, unsupported()] = None

    @property
    def n_drawn(self) -> int:
        """The number of texts generated for each prompt."""
        return max(self.n, self.best_of or 1)

    @property
    def prompts(self) -> list[str | list[int]]:
        if isinstance(self.prompt, str) or all(isinstance(part, int) for part in self.prompt):
            return [self.prompt]  # type: ignore[list-item]
        return self.prompt  # type: ignore[return-value]


OpenAIsOrTabbys = Annotated[
    Annotated[CompletionBody, Tag("<OpenAI>")] | Annotated[TabbyBody, Tag("<Tabby>")],
    Discriminator(
        lambda body: "<Tabby>" if isinstance(body, dict) and body.get("segments") is not None else "<OpenAI>"
    ),
]


def openai_routes(server: Server) -> APIRouter:
    router = APIRouter(prefix="/v1", tags=["OpenAI"], route_class=route_class(error_body))

    @router.post("/completions")
    async def completions(body: OpenAIsOrTabbys, request: Request) -> Response:
        """Continue a prompt, or with a ``suffix`` fill the gap between the two. A body with ``segments`` is one of
        Tabby's protocol."""
        if isinstance(body, TabbyBody):
            return await tabby_completion(server, body, request)
        _check(body)
        run = await start_run(
            server, request, body.model, lambda tokenizer: _requests(body, tokenizer, server.settings.seed)
        )
        heading = {
            "id": f"cmpl-{secrets.token_hex(12)}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": f"{run.model.repo_id}@{run.model.revision}",
            "system_fingerprint": f"bigcode-{run.model.sha}",
        }
        if body.stream:
            return RunResponse(run, _lines(body, run, heading))
        texts = await finish(run, request)
        chosen = [text for group in _groups(texts, body.n_drawn) for text in _kept(group, body.n)]
        choices = [_choice(index, body, text.text, text.tokens, text.reason) for index, text in enumerate(chosen)]
        return JSONResponse({**heading, "choices": choices, "usage": usage(texts, body.n_drawn)})

    @router.get("/models")
    def models() -> dict[str, Any]:
        """Every branch on this server, as ``repo@revision``. Commits can be named in the same way."""
        return model_list(server)

    @router.get("/models/{name:path}")
    def model(name: str) -> dict[str, Any]:
        if not name:
            return model_list(server)
        repo_id, revision = server.chosen(name)
        if f"{repo_id}@{revision}" not in server.revisions():
            server.models.commit(repo_id, revision)  # raises if there is none
        return {**_model(server, f"{repo_id}@{revision}"), "id": name}

    return router


def _check(body: CompletionBody) -> None:
    if body.best_of is not None and body.best_of < body.n:
        raise ApiError(400, f"best_of ({body.best_of}) must not be less than n ({body.n}).")
    if body.stream and body.n_drawn > body.n:
        raise ApiError(400, "best_of cannot be streamed: which text is the best is known only at the end.")
    if body.echo and body.suffix:
        raise ApiError(400, "echo cannot be used with suffix: the text would lie inside the prompt.")
    if body.suffix and not all(isinstance(prompt, str) for prompt in body.prompts):
        raise ApiError(400, "suffix needs a prompt that is text, not tokens.")


def _requests(body: CompletionBody, tokenizer: Tokenizer, default_seed: int | None) -> Iterator[CompletionRequest]:
    return (
        _request(body, prompt, _sampling(body, index, default_seed), tokenizer)
        for prompt in body.prompts
        for index in range(body.n_drawn)
    )


def _request(
    body: CompletionBody, prompt: str | list[int], sampling: SamplingParams, tokenizer: Tokenizer
) -> CompletionRequest:
    if body.suffix and isinstance(prompt, str):
        return body.with_ends(gap_request(prompt, body.suffix, sampling))
    return body.with_ends(raw_request(prompt, sampling, tokenizer, echo=body.echo))


def _sampling(body: CompletionBody, index: int, default_seed: int | None) -> SamplingParams:
    temperature, top_p = temperature_and_top_p(body.temperature, body.top_p)
    return SamplingParams(
        max_new_tokens=body.max_tokens,
        temperature=temperature,
        top_p=top_p,
        top_k=max(0, body.top_k),
        min_p=body.min_p,
        repetition_penalty=body.repetition_penalty,
        frequency_penalty=body.frequency_penalty,
        presence_penalty=body.presence_penalty,
        ignore_eos=body.ignore_eos,
        seed=fitting_seed(body.seed, default_seed, index),
        stop=stop_sequences(body.stop),
        top_logprobs=body.logprobs or 0,
        logit_bias=tuple(body.logit_bias.items()),
    )


async def _lines(body: CompletionBody, run: Run, heading: dict[str, Any]) -> AsyncIterator[str]:
    """Server-sent events; the texts of several choices are interleaved."""
    # if the usage is sent in a separate chunk, the other chunks have a null usage
    with_usage = {"usage": None} if body.stream_options.include_usage else {}
    try:
        async for piece in run.pieces():
            choice = _choice(piece.index, body, piece.text, piece.tokens, piece.reason)
            yield event({**heading, "choices": [choice], **with_usage})
    except ApiError as error:
        yield event(error_body(explain(error)))
        return
    if with_usage:
        yield event({**heading, "choices": [], "usage": usage(run.texts, body.n_drawn)})
    yield "data: [DONE]\n\n"


def event(data: dict[str, Any]) -> str:
    """A server-sent event."""
    return f"data: {json.dumps(data)}\n\n"


def _choice(index: int, body: CompletionBody, text: str, tokens: Sequence[Token], reason: str | None) -> dict[str, Any]:
    logprobs = None if body.logprobs is None else _logprobs(tokens, body.logprobs)
    return {"text": text, "index": index, "finish_reason": reason, "logprobs": logprobs}


def _logprobs(tokens: Sequence[Token], count: int) -> dict[str, Any]:
    return {
        "tokens": [token.text for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [_top_logprobs(token) for token in tokens] if count else None,
        "text_offset": [token.offset for token in tokens],
    }


def _top_logprobs(token: Token) -> dict[str, float] | None:
    """The log-probabilities by text, as in the protocol. If several tokens have the same text (parts of characters have
    none), only one uses it as its name: the token itself, or else the most likely. The others are named by their ids,
    as in vLLM."""
    if token.logprob is None:
        return None
    named: dict[str, float] = {}
    for id_, text, logprob in sorted(token.top, key=lambda alternative: alternative.id != token.id):
        named[f"token_id:{id_}" if text in named else text] = logprob
    return named


def _kept(texts: list[Text], n: int) -> list[Text]:
    return texts if len(texts) == n else best_first(texts)[:n]


def _groups(texts: list[Text], size: int) -> list[list[Text]]:
    """The texts of each prompt."""
    return [texts[start : start + size] for start in range(0, len(texts), size)]


def best_first(texts: list[Text]) -> list[Text]:
    """Texts sorted by mean log-probability per token, by which protocols define the best."""
    return sorted(texts, key=lambda text: -text.total_logprob / text.n_written if text.n_written else math.inf)


def usage(texts: list[Text], n_drawn: int = 1) -> dict[str, Any]:
    """The usage; a prompt counts once, however many texts were generated for it."""
    prompt = sum(text.stream.n_prompt for text in texts[::n_drawn])
    cached = sum(text.stream.n_cached for text in texts[::n_drawn])
    written = sum(text.n_written for text in texts)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def model_list(server: Server) -> dict[str, Any]:
    return {"object": "list", "data": [_model(server, name) for name in server.revisions()]}


def _model(server: Server, name: str) -> dict[str, Any]:
    repo_id, _, revision = name.partition("@")
    try:
        date = checkpoints.log(repo_id, revision, store=server.settings.store, ask_hub=False)[0].date
        created = int(datetime.fromisoformat(date.replace("Z", "+00:00")).timestamp())
    except (CheckpointError, ValueError, IndexError):
        created = 0
    listed = {"id": name, "object": "model", "created": created, "owned_by": repo_id.partition("/")[0]}
    try:
        snapshot = checkpoints.resolve(repo_id, revision, store=server.settings.store, download=False)
        config = checkpoints.read_config(snapshot)
    except CheckpointError:  # not on this machine, or with an adapter
        return listed
    # as in llama.cpp's server, for llama.vscode
    shape = {"n_vocab": config.vocab_size, "n_ctx_train": config.n_positions, "n_embd": config.n_embd}
    return {**listed, "meta": shape}
