"""Where the code of a pane came from: checked after every generation, and on request."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.generation import Generation, Language
from app.ui.code_pane import CodePane, Controls
from app.ui.origins import NOT_CHECKED, badge, findings, panel, unknown
from santacoder.errors import AttributionError

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def attribution_tab(pane: CodePane, controls: Controls, recorder: gr.HTML) -> None:
    """A tab of the pane's details, and the badge above them. ``recorder`` changes with every generation that ended."""
    with pane.details, gr.Tab("Origin", elem_id=f"{pane.name}-origin-tab"):
        button = gr.Button("Where is this code from?", elem_id=f"{pane.name}-origin", elem_classes="small")
        shown = gr.HTML(NOT_CHECKED, elem_id=f"{pane.name}-origins")

    def check(code: str, written: list[tuple[int, int]], language: Language, repo_id: str) -> tuple[str, str]:
        try:
            attribution = controls.indexes.check(repo_id, code, language)
            if attribution is None:
                sentence = f"There is no index of what {repo_id} was trained on."
                return unknown(sentence), NOT_CHECKED
            found = findings(code, written, attribution, controls.indexes.of(repo_id))
        except AttributionError as error:
            return unknown(str(error)), NOT_CHECKED
        return badge(found, repo_id), panel(found, repo_id)

    def check_generation(generation: Generation | None, index: int) -> tuple[str, str]:
        if generation is None:
            return "", NOT_CHECKED
        return check(generation.code(index), generation.spans(index), generation.language, generation.repo_id)

    def check_code(code: str, language: Language, repo_id: str) -> tuple[str, str]:
        return check(code, [], language, repo_id)

    outputs = [pane.origin, shown]
    gr.on(
        [recorder.change, pane.index.change],
        check_generation,
        [pane.generation, pane.index],
        outputs,
        trigger_mode="always_last",
        **_QUIET,
    )
    button.click(check_code, [pane.editor, pane.language, controls.revision[0]], outputs, **_QUIET)
