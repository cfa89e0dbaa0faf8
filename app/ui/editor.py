"""The code editor of the panes."""

from __future__ import annotations

import gradio as gr


def code_editor(value: str, *, label: str, elem_id: str) -> gr.Code:
    """Gradio's editor, but for one thing: it shows code as it is."""
    editor = gr.Code(value, language="python", lines=16, max_lines=30, label=label, elem_id=elem_id, interactive=True)
    # Gradio strips white space at both ends, which in code means something. (A subclass would make Gradio write a
    # stub file beside this one at import.)
    editor.postprocess = lambda code: code
    return editor
