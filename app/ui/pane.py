"""What both panes have: Run, Stop, Undo, and the line below the editor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from app.ui.streaming import Progress, buttons

MAX_RUNNING = 16


def run_and_stop(
    name: str,
    generate: Callable[..., Iterator[Progress]],
    editor: gr.Code,
    inputs: list[gr.components.Component],
) -> None:
    """Buttons that stream ``generate(*inputs)`` into ``editor``. Stop keeps what has been written."""
    with gr.Row(elem_classes="buttons"):
        run = gr.Button("Run", variant="primary", elem_id=f"{name}-run", elem_classes="run", min_width=90)
        stop = gr.Button("Stop", interactive=False, elem_id=f"{name}-stop", elem_classes="stop", min_width=90)
        undo = gr.Button("Undo", elem_id=f"{name}-undo", min_width=90)
    status = gr.HTML('<p class="status">Ctrl-Enter or ⌘-Enter runs.</p>', elem_id=f"{name}-status")
    before = gr.State("")

    def stream(*values: Any) -> Iterator[tuple[Any, ...]]:
        first = True
        for progress in generate(*values):
            code = gr.skip() if progress.code is None else progress.code
            # Run and Stop change only with the first update and with the last
            changed = buttons(progress.running) if first or not progress.running else (gr.skip(), gr.skip())
            yield (code, progress.status, *changed, values[0] if first else gr.skip())
            first = False

    running = run.click(
        stream,
        inputs,
        [editor, status, run, stop, before],
        show_progress="hidden",
        concurrency_limit=MAX_RUNNING,
        concurrency_id="generate",
        api_name=name,
    )
    stop.click(lambda: buttons(running=False), None, [run, stop], cancels=[running], api_visibility="private")
    undo.click(
        lambda text, code: text or code, [before, editor], editor, show_progress="hidden", api_visibility="private"
    )
