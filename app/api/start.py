"""Starting a client's request: the model that it names, and the limits."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from itertools import islice

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from app.api.streams import Run
from app.context import Server
from app.errors import ApiError
from app.middleware.request_turns import turn_of
from app.model_pool import ServedModel
from santacoder.engine.request import CompletionRequest
from santacoder.tokenizer import Tokenizer

MAX_TEXTS = 32
"""Maximum number of texts of a request: prompts times ``n`` or ``best_of``."""

_log = logging.getLogger(__name__)


async def start_run(
    server: Server, client: Request, name: str | None, prepare: Callable[[Tokenizer], Iterable[CompletionRequest]]
) -> Run:
    """Start the requests that ``prepare`` creates from the model's tokenizer, up to the maximum number. Close the
    run when done.

    Raises:
        ApiError: the client asks for too much, or for a model that this server does not have.
        CheckpointError: the revision does not exist or cannot be loaded.
        EngineBusy: the queue is full.
        UserError: a request cannot be run.
    """
    leaving, turn = ExitStack(), turn_of(client)
    leaving.callback(server.limits.admit(client))
    turn.leave()  # loading a model takes long
    try:
        model = await server.acquire(name, server.limits.client(client))
    except BaseException:
        leaving.close()
        raise
    run = Run(model, server.limits.seconds, leaving.close, server.limits.client(client))
    try:
        await turn.take()
        requests = await run_in_threadpool(_prepared, server, prepare, model)
        leaving.callback(server.limits.admit_texts(client, len(requests)))
        await run_in_threadpool(run.submit, requests)
    except BaseException:
        run.close()
        raise
    finally:
        turn.leave()
    return run


def _prepared(
    server: Server, prepare: Callable[[Tokenizer], Iterable[CompletionRequest]], model: ServedModel
) -> Sequence[CompletionRequest]:
    requests = list(islice(prepare(model.engine.tokenizer), MAX_TEXTS + 1))
    if len(requests) > MAX_TEXTS:
        raise ApiError(400, f"The request asks for more than {MAX_TEXTS} texts, which is the limit.")
    if server.project is not None:
        requests = [server.project.added_to(request) for request in requests]
    server.limits.check_new_tokens(requests, model.engine.runner.n_positions)
    log_completion_request(model, requests, with_prompts=server.settings.log_prompts)
    return requests


def log_completion_request(model: ServedModel, requests: Sequence[CompletionRequest], *, with_prompts: bool) -> None:
    """Log a request and its commit. Prompts are private: they are logged only ``with_prompts``."""
    fields: dict[str, object] = {"model": f"{model.repo_id}@{model.revision}", "commit": model.sha}
    fields["texts"] = len(requests)
    if with_prompts:
        fields["prompts"] = [[request.prefix, request.suffix] for request in requests]
    _log.info("completion", extra=fields)
