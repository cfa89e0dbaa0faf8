"""Components of the panes that run one prompt on several revisions: the prompt and the buttons below it."""

from __future__ import annotations

import gradio as gr

from app.generating import Task
from app.generation import MARK, Language
from app.ui.editor import code_editor
from app.ui.languages import code_update, language_choice
from santacoder.sampling import SamplingParams

_LINES = 8


def prompt_editor(name: str, code: str, label: str) -> tuple[gr.Radio, gr.Code]:
    """The language and the code, for :func:`prompt_task`."""
    with gr.Row(elem_classes="toolbar"):
        language = language_choice(name)
    with gr.Column(elem_classes="sheet"):
        editor = code_editor(code, label=f"{label}; {MARK} marks a gap", elem_id=f"{name}-editor", lines=_LINES)
    language.input(
        lambda chosen: code_update(None, chosen), language, editor, show_progress="hidden", api_visibility="private"
    )
    return language, editor


def prompt_task(code: str, language: Language, sampling: SamplingParams) -> Task:
    """A task that continues the code, or fills its gaps if it has any."""
    parts = tuple(code.split(MARK))
    return Task("complete" if len(parts) == 1 else "infill", language, parts, sampling)


def run_and_stop(name: str, label: str) -> tuple[gr.Button, gr.Button]:
    """Run and Stop buttons, for a row of the class ``actions``."""
    run = gr.Button(label, variant="primary", elem_id=f"{name}-run", elem_classes="run", min_width=88)
    stop = gr.Button("Stop", interactive=False, elem_id=f"{name}-stop", elem_classes="stop", min_width=72)
    return run, stop


def buttons(*, running: bool) -> tuple[gr.Button, gr.Button]:
    """Updates of Run and Stop for the given state."""
    return gr.Button(interactive=not running), gr.Button(interactive=running)
