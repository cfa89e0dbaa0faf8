"""The functions for gradio_client, beside those of the page itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import gradio as gr

from app.api.functions import functions
from app.api.running import Server
from app.ui.caller import caller
from app.ui.running import MAX_RUNNING


def add_functions(server: Server) -> None:
    """Add them to the page being built."""
    for function in functions(server, caller):
        gr.api(
            _explained(function), api_name=function.__name__, concurrency_limit=MAX_RUNNING, concurrency_id="generate"
        )


def _explained(function: Callable[..., Awaitable[str]]) -> Callable[..., Awaitable[str]]:
    """``function``, whose failures reach the caller as the sentences they are."""

    @wraps(function)
    async def run(*args: Any, **kwargs: Any) -> str:
        try:
            return await function(*args, **kwargs)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return run
