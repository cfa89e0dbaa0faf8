"""The menus of language and examples of a pane; the examples are in ``presets.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import yaml

from app.generation.records import Language, Pane
from app.ui.code_pane.controls import NO_TOKENS, CodePane
from app.ui.components import LATEST, QUIET, READY, code_update
from santacoder.languages import plain_language


@dataclass(frozen=True)
class Preset:
    pane: Pane
    language: Language
    name: str
    code: str


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
        **LATEST,
    )
    return [
        pane.language.input(
            choose_language, [pane.language, pane.editor], [pane.editor, pane.preset, *cleared], **QUIET
        ),
        pane.preset.input(choose_example, [pane.language, pane.preset], [pane.editor, *cleared], **QUIET),
    ]


def _cleared() -> list[Any]:
    return [READY, NO_TOKENS, gr.Row(visible=False)]


PRESETS = tuple(Preset(**entry) for entry in yaml.safe_load(Path(__file__).with_name("presets.yaml").read_text()))


def presets(pane: Pane, language: Language) -> dict[str, str]:
    """The examples by name."""
    return {preset.name: preset.code for preset in PRESETS if (preset.pane, preset.language) == (pane, language)}
