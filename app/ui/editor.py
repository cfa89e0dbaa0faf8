"""The code editor of the panes."""

from __future__ import annotations

import gradio as gr


def code_editor(value: str, *, label: str, elem_id: str, lines: int = 16) -> gr.Code:
    """Gradio's editor, but for one thing: it shows code as it is."""
    # Gradio strips white space at both ends, which in code means something. It is the class that is changed: Gradio
    # makes an instance anew with an update, and would write a stub file beside this one for a subclass.
    gr.Code.postprocess = _as_it_is
    return gr.Code(
        value,
        language="python",
        lines=lines,
        max_lines=26,
        label=label,
        elem_id=elem_id,
        elem_classes="code-editor",
        interactive=True,
        buttons=[],
    )


def _as_it_is(_: gr.Code, code: str | None) -> str | None:
    return code
