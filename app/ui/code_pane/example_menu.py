"""The menus of language and examples of a pane."""

from __future__ import annotations

import gradio as gr

from app.generation.records import MARK, Generation, Language
from app.ui.code_pane.controls import CodePane
from app.ui.code_pane.example_code import PRESETS, presets
from app.ui.components import LATEST, Updates, code_update
from santacoder.languages import plain_language


def connect_beginning(pane: CodePane) -> list[gr.events.Dependency]:
    """Choosing a language updates the examples; choosing an example sets the code. The user's own code stays when the
    language changes; an example stays an example when it has been run.

    Returns the two events, so that others can be chained to them.
    """
    cleared = list(pane.cleared())

    def choose_language(language: Language, code: str, generation: Generation | None, index: int) -> Updates:
        examples = presets(pane.name, language)
        name = next(iter(examples), None) if _is_example(code, generation, index) else None
        return {
            pane.editor: code_update(examples[name] if name else None, language),
            pane.preset: gr.Dropdown(choices=list(examples), value=name),
            **(pane.cleared() if name else {}),
        }

    def choose_example(language: Language, name: str | None) -> Updates:
        code = presets(pane.name, language).get(name or "")
        return gr.skip() if code is None else {pane.editor: code, **pane.cleared()}

    pane.editor.input(
        lambda language, code: menus_for(pane, language, code),
        [pane.language, pane.editor],
        [pane.editor, pane.language, pane.preset],
        **LATEST,
    )
    return [
        pane.language.input(
            choose_language,
            [pane.language, pane.editor, pane.generation, pane.index],
            [pane.editor, pane.preset, *cleared],
            **LATEST,
        ),
        pane.preset.input(choose_example, [pane.language, pane.preset], [pane.editor, *cleared], **LATEST),
    ]


def _is_example(code: str, generation: Generation | None, index: int) -> bool:
    """Whether the editor's ``code`` is an example, or one with what the model wrote."""
    if generation is not None and generation.candidates and code == generation.code(index):
        code = MARK.join(generation.parts)
    return code in [preset.code for preset in PRESETS]


def menus_for(pane: CodePane, language: Language, code: str, generation: Generation | None = None) -> Updates:
    """Updates of the menus that match the code in the editor, or what it was before ``generation`` was written."""
    seen = plain_language(code, language)
    examples = presets(pane.name, seen)
    begun = MARK.join(generation.parts) if generation else code
    name = next((name for name, example in examples.items() if example == begun), None)
    updates: Updates = {pane.preset: gr.Dropdown(choices=list(examples), value=name)}
    if seen != language:
        updates |= {pane.editor: code_update(None, seen), pane.language: seen}
    return updates
