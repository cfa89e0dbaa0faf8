"""Ollama's API as its own clients, Continue and others use it: /api/generate, tags, show, ps and version.

https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timezone
from typing import Annotated, Any, NoReturn

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from app.api.error_responses import Explanation, explain, route_class
from app.api.fields import Body, EndFields, NotNegative, NotNegativeInt, Number, Share, Stop, one_of, unsupported
from app.api.prompts import (
    UNLIMITED_NEW_TOKENS,
    WHOLE_CONTEXT,
    fitting_seed,
    gap_request,
    raw_request,
    stop_sequences,
    temperature_and_top_p,
)
from app.api.start import start_run
from app.api.streams import Run, RunResponse, finish
from app.api.texts import Text, bytes_of
from app.context import Server
from app.errors import ApiError
from santacoder import checkpoints
from santacoder.engine.accumulator import Alternative, Token
from santacoder.engine.request import CompletionRequest
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer

# the version of Ollama whose protocol this is: clients check it for features
_VERSION = "0.12.0"

# Continue fills gaps only if the template names the suffix
_TEMPLATE = (
    "{{ if .Suffix }}<fim-prefix>{{ .Prompt }}<fim-suffix>{{ .Suffix }}<fim-middle>{{ else }}{{ .Prompt }}{{ end }}"
)
_EPOCH = "1970-01-01T00:00:00Z"
_NEVER = "9999-12-31T23:59:59Z"
_NO_TIME = re.compile(r"[+-]?(?:0|(?:0+(?:\.0*)?(?:ns|us|µs|ms|s|m|h))+)")


def ollama_routes(server: Server) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["Ollama"], route_class=route_class(error_body))

    @router.post("/generate")
    async def generate(body: GenerateBody, request: Request) -> Response:
        """Continue ``prompt``, or with a ``suffix`` fill the gap between the two."""
        if not body.prompt and not body.suffix:  # this is how clients load and unload a model
            named = _unloaded if body.unloads else _loaded
            name = server.answered_name(body.model, await named(server, body.model, server.limits.client(request)))
            reason = "unload" if body.unloads else "load"
            return JSONResponse({**heading(name), "response": "", "done": True, "done_reason": reason})
        run = await start_run(
            server, request, body.model, lambda tokenizer: [body.request(tokenizer, server.settings.seed)]
        )
        name = server.answered_name(body.model, run.model.name)
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
            "template": _TEMPLATE,
            "capabilities": ["completion", "insert"],
        }

    @router.post("/chat", response_model=None, include_in_schema=False)
    def chat() -> NoReturn:
        raise ApiError(400, "The models on this server complete code and do not chat; use /api/generate.")

    return router


class Options(EndFields):
    """Fields and defaults of the protocol; fields for hardware or loading have no effect."""

    num_predict: int = Field(-1, ge=-2)
    temperature: Annotated[NotNegative, Field(le=5)] = 0.8
    top_k: NotNegativeInt = 40
    top_p: Share = 0.9
    min_p: Share = 0.0
    repeat_penalty: Number = Field(1.0, ge=0.1, le=10)
    repeat_last_n: int = Field(64, ge=-1)
    frequency_penalty: Number = Field(0.0, ge=-2, le=2)
    presence_penalty: Number = Field(0.0, ge=-2, le=2)
    seed: int | None = None
    stop: Stop = []
    typical_p: Annotated[Number, unsupported(lambda value: value >= 1)] = 1.0
    tfs_z: Annotated[Number, unsupported(lambda value: value >= 1)] = 1.0
    mirostat: Annotated[int, unsupported(lambda value: value <= 0)] = 0


class GenerateBody(Body):
    model: str | None = None
    prompt: str = ""
    suffix: str = ""
    stream: bool = True
    options: Options = Field(default_factory=lambda: Options.model_validate({}))
    logprobs: bool = False
    top_logprobs: int = Field(0, ge=0, le=20)
    format: Annotated[Any, unsupported(lambda value: value == "")] = None
    images: Annotated[list[Any], unsupported(lambda value: not value)] = []
    system: Annotated[str, unsupported(lambda value: not value)] = ""
    template: Annotated[str, unsupported(lambda value: value in ("", "{{ .Prompt }}"))] = ""
    context: Annotated[list[int], unsupported(lambda value: not value)] = []
    think: Annotated[bool | str, unsupported(lambda value: not value)] = False
    keep_alive: Annotated[
        Number | str | None, one_of("Input should be a number of seconds, or a duration such as 5m")
    ] = None

    @property
    def unloads(self) -> bool:
        """Whether ``keep_alive`` is zero: a number of seconds, or a duration in Go's notation."""
        given = self.keep_alive
        return _NO_TIME.fullmatch(given) is not None if isinstance(given, str) else given == 0

    def request(self, tokenizer: Tokenizer, default_seed: int | None) -> CompletionRequest:
        sampling = self._sampling(default_seed)
        if self.suffix:
            return self.options.with_ends(gap_request(self.prompt, self.suffix, sampling))
        return self.options.with_ends(raw_request(self.prompt, sampling, tokenizer))

    def _sampling(self, default_seed: int | None) -> SamplingParams:
        options = self.options
        temperature, top_p = temperature_and_top_p(options.temperature, options.top_p)
        penalise = options.repeat_last_n != 0
        return SamplingParams(
            max_new_tokens=UNLIMITED_NEW_TOKENS if options.num_predict < 0 else options.num_predict,
            temperature=temperature,
            top_k=options.top_k,
            top_p=top_p,
            min_p=options.min_p,
            repetition_penalty=options.repeat_penalty if penalise else 1.0,
            frequency_penalty=options.frequency_penalty if penalise else 0.0,
            presence_penalty=options.presence_penalty if penalise else 0.0,
            penalty_last_n=options.repeat_last_n if options.repeat_last_n > 0 else WHOLE_CONTEXT,
            seed=fitting_seed(options.seed, default_seed),
            stop=stop_sequences(options.stop),
            top_logprobs=self.top_logprobs if self.logprobs else 0,
        )


class ShowBody(Body):
    model: str | None = None
    name: str | None = None


async def _loaded(server: Server, name: str | None, client: str) -> str:
    """Load a model; its name."""
    model = await server.acquire(name, client)
    model.release()
    return model.name


async def _unloaded(server: Server, name: str | None, client: str) -> str:
    """The name of a model, which stays in memory, since others may use it.

    Raises:
        CheckpointError: it is not on this machine.
    """
    repo_id, revision = server.chosen(name, client)
    await run_in_threadpool(server.models.commit, repo_id, revision)
    return f"{repo_id}@{revision}"


async def lines(body: GenerateBody, name: str, run: Run) -> AsyncIterator[str]:
    """One JSON object per line."""
    text = run.texts[0]
    try:
        async for piece in run.pieces():
            if piece.reason:
                yield json.dumps(last(body, name, run, text, piece.text, piece.tokens)) + "\n"
            else:
                logprobs = _logprobs(body, piece.tokens, run)
                yield json.dumps({**heading(name), "response": piece.text, "done": False, **logprobs}) + "\n"
    except ApiError as error:
        yield json.dumps(error_body(explain(error))) + "\n"


def heading(name: str) -> dict[str, Any]:
    return {"model": name, "created_at": datetime.now(timezone.utc).isoformat()}


def last(body: GenerateBody, name: str, run: Run, text: Text, response: str, tokens: Sequence[Token]) -> dict[str, Any]:
    """The last line, with the text not sent before; durations are in nanoseconds."""
    return {
        **heading(name),
        "response": response,
        "done": True,
        "done_reason": "length" if text.end == "limit" else "stop",
        **_logprobs(body, tokens, run),
        "total_duration": int((time.perf_counter() - run.started) * 1e9),
        "load_duration": 0,
        "prompt_eval_count": text.stream.n_prompt,
        "prompt_eval_duration": int((text.first_at - run.started) * 1e9),
        "eval_count": text.n_written,
        "eval_duration": int((text.last_at - text.first_at) * 1e9),
    }


def error_body(explanation: Explanation) -> dict[str, Any]:
    return {"error": explanation.message}


def _logprobs(body: GenerateBody, tokens: Sequence[Token], run: Run) -> dict[str, Any]:
    if not body.logprobs:
        return {}
    tokenizer = run.model.engine.tokenizer
    return {
        "logprobs": [
            {**_told(token, tokenizer), "top_logprobs": [_told(likely, tokenizer) for likely in token.top]}
            for token in tokens
        ]
    }


def _told(token: Token | Alternative, tokenizer: Tokenizer) -> dict[str, Any]:
    return {"token": token.text, "logprob": token.logprob, "bytes": list(bytes_of(token, tokenizer))}


def tags(server: Server) -> list[dict[str, Any]]:
    """Every branch."""
    return [_tag(server, name) for name in server.revisions()]


def loaded(server: Server) -> list[dict[str, Any]]:
    """The models in memory, where they stay until another model needs the memory."""
    engines = dict(server.models.engines())
    found = []
    for name in server.revisions():
        tag = _tag(server, name)
        engine = engines.get(f"{name.partition('@')[0]}@{tag['digest'][:8]}")
        if engine is not None:
            on_gpu = engine.runner.device != "cpu"
            tag["details"] = details(engine.runner.precision)
            found.append(
                {
                    **tag,
                    "expires_at": _NEVER,
                    "size_vram": tag["size"] if on_gpu else 0,
                    "context_length": engine.runner.n_positions,
                }
            )
    return found


def details(precision: str) -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "safetensors",
        "family": "gpt_bigcode",
        "families": ["gpt_bigcode"],
        "parameter_size": "",
        "quantization_level": precision,
    }


def _tag(server: Server, name: str) -> dict[str, Any]:
    repo_id, _, revision = name.partition("@")
    try:
        snapshot = checkpoints.resolve(repo_id, revision, store=server.settings.store, download=False)
        digest, size = snapshot.name, sum(path.stat().st_size for path in snapshot.glob("*") if path.is_file())
        date = checkpoints.log(repo_id, revision, store=server.settings.store, ask_hub=False)[0].date
    except (checkpoints.CheckpointError, IndexError):  # not on this machine, or without a history: with an adapter
        digest, size, date = "", 0, ""
    tag = f"{repo_id}:{'latest' if revision == 'main' else revision}"
    return {
        "name": tag,
        "model": tag,
        "modified_at": date or _EPOCH,
        "size": size,
        "digest": digest,
        "details": details(""),
    }
