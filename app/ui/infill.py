"""The pane that writes what belongs at a mark inside code."""

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
from santacoder.fim import FimOrder

MARK = "<FILL_HERE>"
EXAMPLE = f'''def read_config(path):
    """Read a JSON file and return its contents."""
    with open(path) as file:
        {MARK}
    return config
'''


def infill_pane(models: Models, revision: list[gr.Dropdown], parameters: list[gr.components.Component]) -> None:
    """Fill the surrounding tab."""

    def infill(code: str, order: FimOrder, repo_id: str, branch: str, commit: str, *values: Any) -> Iterator[Progress]:
        try:
            request = CompletionRequest(*split_at_mark(code), sampling_params(*values), order)
        except ValueError as error:
            return iter([failure(error)])
        return stream_progress(models, repo_id, commit or branch, request)

    editor = code_editor(EXAMPLE, label=f"Code with {MARK} where something is missing", elem_id="infill-editor")
    order = gr.Radio(
        [("Prefix first (PSM)", "psm"), ("Suffix first (SPM)", "spm")],
        value="psm",
        label="Order of the prompt",
        elem_id="infill-order",
    )
    run_and_stop("infill", infill, editor, [editor, order, *revision, *parameters])


def split_at_mark(code: str) -> tuple[str, str]:
    """What stands before and after the mark.

    Raises:
        ValueError: there is no mark, or more than one.
    """
    count = code.count(MARK)
    if count == 0:
        raise ValueError(f"Put {MARK} where something is missing; the code has no such mark.")
    if count > 1:
        raise ValueError(f"Use {MARK} once; the code has it {count} times.")
    prefix, _, suffix = code.partition(MARK)
    return prefix, suffix
