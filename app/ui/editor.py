"""The code editor of the panes."""

from __future__ import annotations

import gradio as gr


def code_editor(value: str, *, label: str, elem_id: str, lines: int = 16) -> gr.Code:
    """Gradio's editor, except that it shows code unchanged."""
    # Gradio strips white space at both ends, which is significant in code. The class itself is patched, because Gradio
    # creates a new instance on updates, and would write a stub file next to this one for a subclass.
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
