"""The pane that continues code where it ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from app.models import Models
from app.ui.pane import run_and_stop
from app.ui.parameters import sampling_params
from app.ui.streaming import Progress, error_line, stream_progress
from santacoder.engine.request import CompletionRequest

EXAMPLE = '''import os


def count_lines(path):
    """Return the number of lines in a text file."""
    '''


def complete_pane(
    models: Models, model: gr.Dropdown, revision: gr.Dropdown, parameters: list[gr.components.Component]
) -> None:
    """Fill the surrounding tab."""

    def complete(code: str, repo_id: str, revision_name: str, *values: Any) -> Iterator[Progress]:
        try:
            request = CompletionRequest(code, sampling=sampling_params(*values))
        except ValueError as error:
            yield Progress(code, error_line(str(error)), running=False)
            return
        for progress in stream_progress(models, repo_id, revision_name, request):
            yield Progress(code + progress.text, progress.status, progress.running)

    editor = gr.Code(
        EXAMPLE, language="python", lines=16, max_lines=30, label="Code", elem_id="complete-editor", interactive=True
    )
    run_and_stop("complete", complete, editor, [editor, model, revision, *parameters])
