"""The menus of language and examples of a pane."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.generation import Language
from app.ui.code_pane import NO_TOKENS, CodePane
from app.ui.languages import code_update
from app.ui.presets import PRESETS, presets
from app.ui.status import READY
from santacoder.languages import plain_language

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def connect_beginning(pane: CodePane) -> list[gr.events.Dependency]:
    """Choosing a language updates the examples; choosing an example sets the code. The user's own code stays when the
    language changes.

    Returns the two events, so that others can be chained to them.
    """
    cleared = [pane.status, pane.tokens, pane.pager]

    def choose_language(language: Language, code: str) -> list[Any]:
        examples = presets(pane.name, language)
        is_example = code in [preset.code for preset in PRESETS]
        name = next(iter(examples), None) if is_example else None
        return [
            code_update(examples[name] if name else None, language),
            gr.Dropdown(choices=list(examples), value=name),
            *(_cleared() if name else [gr.skip()] * len(cleared)),
        ]

    def choose_example(language: Language, name: str | None) -> list[Any]:
        code = presets(pane.name, language).get(name or "")
        return [gr.skip()] * (1 + len(cleared)) if code is None else [code, *_cleared()]

    def follow(language: Language, code: str) -> list[Any]:
        """Updates of the menus that match the code in the editor."""
        seen = plain_language(code, language)
        examples = presets(pane.name, seen)
        name = next((name for name, example in examples.items() if example == code), None)
        if seen == language:
            return [gr.skip(), gr.skip(), gr.Dropdown(choices=list(examples), value=name)]
        return [code_update(None, seen), seen, gr.Dropdown(choices=list(examples), value=name)]

    pane.editor.input(
        follow,
        [pane.language, pane.editor],
        [pane.editor, pane.language, pane.preset],
        trigger_mode="always_last",
        **_QUIET,
    )
    return [
        pane.language.input(
            choose_language, [pane.language, pane.editor], [pane.editor, pane.preset, *cleared], **_QUIET
        ),
        pane.preset.input(choose_example, [pane.language, pane.preset], [pane.editor, *cleared], **_QUIET),
    ]


def _cleared() -> list[Any]:
    return [READY, NO_TOKENS, gr.Row(visible=False)]
