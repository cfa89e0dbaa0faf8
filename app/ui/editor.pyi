"""The code editor of the panes."""

from __future__ import annotations

import gradio as gr

from gradio.events import Dependency

class CodeEditor(gr.Code):
    """Gradio's editor, but for one thing: it shows code as it is, where Gradio strips white space at both ends."""

    is_template = True  # tells Gradio that the browser's part is its own Code component

    def __init__(self, value: str, *, label: str, elem_id: str) -> None:
        super().__init__(
            value, language="python", lines=16, max_lines=30, label=label, elem_id=elem_id, interactive=True
        )

    def postprocess(self, value: str | None) -> str | None:
        return value
    from typing import Callable, Literal, Sequence, Any, TYPE_CHECKING
    from gradio.blocks import Block
    if TYPE_CHECKING:
        from gradio.components import Timer
        from gradio.components.base import Component