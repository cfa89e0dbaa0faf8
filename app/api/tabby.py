"""Tabby's server as its editor plugins use it: POST /v1/completions with ``segments``, GET /v1/health.

https://github.com/TabbyML/tabby, crates/tabby/src/routes and clients/tabby-agent/src/http. Its completions share their
path with OpenAI's, which app/api/openai.py serves; its events are counted in app/api/feedback.py.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BeforeValidator, Field

from app.api.error_responses import route_class
from app.api.fields import Body, EndFields, Number, known_language, unsupported
from app.api.openai_errors import error_body
from app.api.prompts import fitting_seed, gap_request
from app.api.start import start_run
from app.api.streams import finish
from app.context import Server
from santacoder.engine.request import CompletionRequest
from santacoder.languages import Language
from santacoder.sampling import SamplingParams

# Tabby's defaults: crates/tabby-inference/src/code.rs and crates/tabby-common/src/config.rs
_TEMPERATURE = 0.1
_NEW_TOKENS = 64
_STOP = ("\n\n",)
# the version whose protocol this is; its clients ask servers from 0.9.0 on for settings
_VERSION = "v0.30.0"


class Snippet(Body):
    """Code from another file."""

    filepath: str = ""
    body: str


class Segments(Body):
    prefix: str
    suffix: str = ""
    filepath: str = ""
    declarations: list[Snippet] = []
    relevant_snippets_from_changed_files: list[Snippet] = []
    relevant_snippets_from_recently_opened_files: list[Snippet] = []

    @property
    def files(self) -> list[tuple[str, str]]:
        """Other files, the most relevant last, next to the code."""
        opened, changed = self.relevant_snippets_from_recently_opened_files, self.relevant_snippets_from_changed_files
        return [(one.filepath, one.body) for one in reversed([*self.declarations, *changed, *opened])]


class TabbyBody(EndFields):
    """Fields and defaults of the protocol."""

    # every language that an editor knows
    language: Annotated[Language | None, BeforeValidator(known_language)] = None
    segments: Segments
    model: str | None = None
    stop_repetition: bool = True
    temperature: Number = Field(_TEMPERATURE, ge=0, le=5)
    seed: int | None = None
    mode: Annotated[str, unsupported(lambda value: value == "standard")] = "standard"

    def request(self, default_seed: int | None) -> CompletionRequest:
        sampling = SamplingParams(
            max_new_tokens=_NEW_TOKENS,
            temperature=self.temperature,
            seed=fitting_seed(self.seed, default_seed),
            stop=_STOP,
        )
        segments = self.segments
        named = self if self.file_name else self.model_copy(update={"file_name": segments.filepath})
        return named.with_ends(gap_request(segments.prefix, segments.suffix, sampling, segments.files))


async def tabby_completion(server: Server, body: TabbyBody, request: Request) -> JSONResponse:
    """Fill the gap between ``segments.prefix`` and ``segments.suffix``. The id says which model and which language, so
    that the client's events about it can be counted."""
    run = await start_run(server, request, body.model, lambda _: [body.request(server.settings.seed)])
    (text,) = await finish(run, request)
    answer_id = f"cmpl-{secrets.token_hex(12)}:{body.language or ''}:{run.model.name}"
    return JSONResponse({"id": answer_id, "choices": [{"index": 0, "text": text.text}], "model": run.model.name})


def tabby_routes(server: Server) -> APIRouter:
    router = APIRouter(tags=["Tabby"], route_class=route_class(error_body))

    @router.get("/v1beta/server_setting")
    def setting() -> dict[str, bool]:
        """The settings of Tabby's clients: they report their use to nobody but this server."""
        return {"disable_client_side_telemetry": True}

    return router


def tabby_health(server: Server) -> dict[str, Any]:
    """What Tabby's clients read of /v1/health. Nothing about the machine is told, because health checks need no key."""
    devices = {engine.runner.device.partition(":")[0] for _, engine in server.models.engines()}
    return {
        "model": server.default_model,
        "device": "cuda" if "cuda" in devices else "cpu",
        "arch": "",
        "cpu_info": "",
        "cpu_count": 0,
        "cuda_devices": [],
        "version": {"build_date": "", "build_timestamp": "", "git_sha": "", "git_describe": _VERSION},
    }
