"""The languages of the model: their names, highlighting and file names."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr

from app.generation import Language


class _Named(NamedTuple):
    label: str
    highlighter: str
    file_name: str


# Gradio's editor has no mode for Java; the C++ mode handles its braces, types, comments and most of its keywords
LANGUAGES: dict[Language, _Named] = {
    "python": _Named("Python", "python", "completion.py"),
    "java": _Named("Java", "cpp", "Completion.java"),
    "javascript": _Named("JavaScript", "javascript", "completion.js"),
}


def language_choice(name: str) -> gr.Radio:
    """The language buttons of the pane ``name``."""
    return gr.Radio(
        [(named.label, language) for language, named in LANGUAGES.items()],
        value="python",
        label="Language",
        elem_id=f"{name}-language",
        elem_classes="segmented",
        min_width=220,
    )


def code_update(code: str | None, language: Language) -> dict[str, Any]:
    """An update of an editor's code, unchanged, and language; None keeps the current code."""
    value = {} if code is None else {"value": code}
    return gr.update(language=LANGUAGES[language].highlighter, **value)
