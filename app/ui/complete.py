"""The pane that continues code where it ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from app.models import Models
from app.ui.editor import code_editor
from app.ui.pane import run_and_stop
from app.ui.parameters import sampling_params
from app.ui.streaming import Progress, failure, stream_progress
from santacoder.engine.request import CompletionRequest

EXAMPLE = '''import os


def count_lines(path):
    """Return the number of lines in a text file."""'''


def complete_pane(models: Models, revision: list[gr.Dropdown], parameters: list[gr.components.Component]) -> None:
    """Fill the surrounding tab."""

    def complete(code: str, repo_id: str, branch: str, commit: str, *values: Any) -> Iterator[Progress]:
        try:
            request = CompletionRequest(code, sampling=sampling_params(*values))
        except ValueError as error:
            return iter([failure(error)])
        return stream_progress(models, repo_id, commit or branch, request)

    editor = code_editor(EXAMPLE, label="Code", elem_id="complete-editor")
    run_and_stop("complete", complete, editor, [editor, *revision, *parameters])
