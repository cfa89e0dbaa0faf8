"""Attribution of a pane's code, after every generation and on request."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.attribution import Attribution, Indexes
from app.errors import sentence_for
from app.generation import Generation, Language
from app.ui.code_pane import CodePane, Controls
from app.ui.origins import NOT_CHECKED, badge, findings, panel, unknown
from santacoder.errors import AttributionError, UserError

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def connect_origins(pane: CodePane, controls: Controls, recorder: gr.HTML) -> None:
    """Update badge and tab with the shown code. ``recorder`` changes with every finished generation."""

    def check(code: str, written: list[tuple[int, int]], language: Language, repo_id: str) -> tuple[str, str]:
        try:
            attribution = controls.indexes.check(repo_id, code, language)
            if attribution is None:
                return unknown(f"There is no attribution index for {repo_id}."), NOT_CHECKED
            return _told(code, written, attribution, repo_id, controls.indexes)
        except AttributionError as error:
            return unknown(sentence_for(error)), NOT_CHECKED

    def check_generation(generation: Generation | None, index: int) -> tuple[str, str]:
        if generation is None:
            return "", NOT_CHECKED
        return check(generation.code(index), generation.spans(index), generation.language, generation.repo_id)

    outputs = [pane.origin_badge, pane.origins]
    pane.run.click(None, None, pane.origin_badge, js="() => ''", **_QUIET)
    gr.on(
        [recorder.change, pane.index.change],
        check_generation,
        [pane.generation, pane.index],
        outputs,
        trigger_mode="always_last",
        **_QUIET,
    )
    pane.origin_check.click(
        lambda code, language, repo_id: check(code, [], language, repo_id),
        [pane.editor, pane.language, controls.revision[0]],
        outputs,
        **_QUIET,
    )


def origins_to_share(generation: Generation, index: int, indexes: Indexes) -> str | None:
    """The attribution of a candidate as JSON for a share; None if it cannot be looked up."""
    try:
        found = indexes.check(generation.repo_id, generation.code(index), generation.language)
    except AttributionError:
        return None
    return None if found is None else found.to_json()


def shared_origins(attribution: str | None, generation: Generation, index: int, indexes: Indexes) -> tuple[str, str]:
    """Badge and tab of a share, with the attribution from when it was shared."""
    if attribution is None:
        return unknown("The code was not looked up when it was shared."), NOT_CHECKED
    code, spans = generation.code(index), generation.spans(index)
    try:
        return _told(code, spans, Attribution.from_json(attribution), generation.repo_id, indexes)
    except (AttributionError, UserError) as error:
        return unknown(sentence_for(error)), NOT_CHECKED


def _told(
    code: str, written: list[tuple[int, int]], attribution: Attribution, repo_id: str, indexes: Indexes
) -> tuple[str, str]:
    found = findings(code, written, attribution, indexes.of(repo_id))
    return badge(found, repo_id), panel(found, repo_id)
