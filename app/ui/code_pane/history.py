"""The history of generations, kept only in the browser (``history.js``)."""

from __future__ import annotations

import gradio as gr

from app.generation.records import Generation
from app.ui.code_pane.controls import CodePane
from app.ui.code_pane.example_menu import menus_for
from app.ui.components import QUIET, Updates, failure
from app.ui.inputs import event_value
from santacoder.errors import UserError

# always rendered, because the scripts of a tab run only once it is opened
_RECORDER = """
watch("value", () => props.value && santacoder.history.add("PANE", props.value));
santacoder.history.record("PANE", trigger);
"""
_ON_LOAD = """santacoder.history.follow(element, "PANE");"""
_LIST = """<p class="empty">Your runs appear here. They are kept in this browser only.</p>
<ol class="history-list"></ol><button type="button" class="history-clear" hidden>Clear history</button>"""


def history_tab(pane: CodePane) -> gr.HTML:
    """Add a history tab to the pane's details. JSON of generations that is output to the returned component is added to
    it.
    """
    recorder = gr.HTML(
        "", html_template=" ", js_on_load=_RECORDER.replace("PANE", pane.name), elem_classes="history-recorder"
    )
    with pane.details, gr.Tab("History", elem_id=f"{pane.name}-history-tab"):
        gr.HTML(
            html_template=_LIST,
            js_on_load=_ON_LOAD.replace("PANE", pane.name),
            elem_id=f"{pane.name}-history",
            elem_classes="history",
        )

    def restore(event: gr.EventData) -> Updates:
        try:
            generation = Generation.from_json(event_value(event, "generation", str))
            if generation.pane != pane.name or not generation.candidates:
                raise UserError("This entry belongs to another pane.")
            if not all(candidate.completions for candidate in generation.candidates):
                raise UserError("This entry is damaged.")
            menus = menus_for(pane, generation.language, generation.code(0), generation)
            return {**menus, **pane.show(generation), recorder: generation.to_json()}
        except UserError as error:
            return {pane.status: failure(str(error))}

    recorder.select(restore, None, [*pane.shown, pane.preset, recorder], **QUIET)
    return recorder
