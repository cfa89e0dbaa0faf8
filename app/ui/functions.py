"""The page's work as plain functions: for gradio_client, and for agents as MCP tools."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import gradio as gr

from app.models import Models
from app.settings import Settings
from app.ui.running import MAX_RUNNING
from santacoder.checkpoints import CheckpointError
from santacoder.engine.engine import EngineBusy
from santacoder.engine.events import Finished
from santacoder.engine.request import CompletionRequest
from santacoder.sampling import SamplingParams

P = ParamSpec("P")


def functions(models: Models, settings: Settings) -> None:
    """Add them to the page being built."""

    def complete_code(code: str, revision: str = "", max_new_tokens: int = 64, temperature: float = 0.0) -> str:
        """Continue source code where it ends, with the small code model SantaCoder.

        Args:
            code: Python, Java or JavaScript source code.
            revision: the model as repository@branch; empty for the server's own.
            max_new_tokens: the most tokens to write.
            temperature: 0 for the likeliest text, up to 2 for more variety.

        Returns:
            The text that continues the code, without the code itself.
        """
        return write(revision, CompletionRequest(code, None, _sampling(max_new_tokens, temperature)))

    def fill_in_code(
        prefix: str, suffix: str, revision: str = "", max_new_tokens: int = 64, temperature: float = 0.0
    ) -> str:
        """Write what is missing between two pieces of source code, with the small code model SantaCoder.

        Args:
            prefix: the code before the gap.
            suffix: the code after the gap.
            revision: the model as repository@branch; empty for the server's own.
            max_new_tokens: the most tokens to write.
            temperature: 0 for the likeliest text, up to 2 for more variety.

        Returns:
            The text for the gap.
        """
        return write(revision, CompletionRequest(prefix, suffix, _sampling(max_new_tokens, temperature), "spm"))

    def write(revision: str, request: CompletionRequest) -> str:
        repo_id, _, branch = (revision or f"{settings.model}@{settings.revision}").partition("@")
        model = models.acquire(repo_id, branch or "main")
        try:
            text = ""
            for event in model.engine.submit(request):
                text += event.text
                if isinstance(event, Finished) and event.reason in ("error", "cancelled"):
                    raise ValueError(event.message or "The text was ended because the server is being stopped.")
            return text
        finally:
            model.release()

    for function in (complete_code, fill_in_code):
        gr.api(
            _explained(function), api_name=function.__name__, concurrency_limit=MAX_RUNNING, concurrency_id="generate"
        )


def _explained(function: Callable[P, str]) -> Callable[P, str]:
    """``function``, whose failures reach the caller as the sentences they are."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> str:
        try:
            return function(*args, **kwargs)
        except (CheckpointError, EngineBusy, ValueError) as error:
            raise gr.Error(str(error), print_exception=False) from error

    return run


def _sampling(max_new_tokens: int, temperature: float) -> SamplingParams:
    return SamplingParams(max_new_tokens=max_new_tokens, temperature=temperature)
