"""Where the code of a pane came from: checked after every generation, and on request."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr

from app.generation import Generation, Language
from app.ui.code_pane import CodePane, Controls
from app.ui.origins import NOT_CHECKED, badge, findings, panel, unknown
from santacoder.errors import AttributionError

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


class OriginTab(NamedTuple):
    """A button that checks what is in the editor, and what was found."""

    check: gr.Button
    shown: gr.HTML


def origin_tab(pane: CodePane) -> OriginTab:
    """A tab of the pane's details."""
    with pane.details, gr.Tab("Origin", elem_id=f"{pane.name}-origin-tab"):
        return OriginTab(
            gr.Button("Where is this code from?", elem_id=f"{pane.name}-origin", elem_classes="small"),
            gr.HTML(NOT_CHECKED, elem_id=f"{pane.name}-origins"),
        )


def connect_origins(pane: CodePane, controls: Controls, tab: OriginTab, recorder: gr.HTML) -> None:
    """Let the tab and the badge follow what is shown. ``recorder`` changes with every generation that has ended."""

    def check(code: str, written: list[tuple[int, int]], language: Language, repo_id: str) -> tuple[str, str]:
        try:
            attribution = controls.indexes.check(repo_id, code, language)
            if attribution is None:
                return unknown(f"There is no index of what {repo_id} was trained on."), NOT_CHECKED
            found = findings(code, written, attribution, controls.indexes.of(repo_id))
        except AttributionError as error:
            return unknown(str(error)), NOT_CHECKED
        return badge(found, repo_id), panel(found, repo_id)

    def check_generation(generation: Generation | None, index: int) -> tuple[str, str]:
        if generation is None:
            return "", NOT_CHECKED
        return check(generation.code(index), generation.spans(index), generation.language, generation.repo_id)

    outputs = [pane.origin_badge, tab.shown]
    pane.run.click(None, None, pane.origin_badge, js="() => ''", **_QUIET)
    gr.on(
        [recorder.change, pane.index.change],
        check_generation,
        [pane.generation, pane.index],
        outputs,
        trigger_mode="always_last",
        **_QUIET,
    )
    tab.check.click(
        lambda code, language, repo_id: check(code, [], language, repo_id),
        [pane.editor, pane.language, controls.revision[0]],
        outputs,
        **_QUIET,
    )
