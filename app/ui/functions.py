"""The functions for gradio_client, in addition to the page's own."""

from __future__ import annotations

import gradio as gr
from fastapi import Request

from app.api.functions import functions
from app.api.running import Server
from app.ui.caller import caller
from app.ui.running import MAX_RUNNING


def add_functions(server: Server) -> None:
    """Add them to the page being built."""

    def counted_caller() -> Request:
        request = caller()
        server.limits.check_rate(request)
        return request

    for function in functions(server, counted_caller):
        gr.api(function, api_name=function.__name__, concurrency_limit=MAX_RUNNING, concurrency_id="generate")
