"""The languages of the model: how they are named, coloured and saved."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr

from app.generation import Language


class _Named(NamedTuple):
    label: str
    highlighter: str
    file_name: str


# Gradio's editor has no mode for Java; that of C++ knows its braces, types, comments and most of its keywords
LANGUAGES: dict[Language, _Named] = {
    "python": _Named("Python", "python", "completion.py"),
    "java": _Named("Java", "cpp", "Completion.java"),
    "javascript": _Named("JavaScript", "javascript", "completion.js"),
}


def language_choice(name: str) -> gr.Radio:
    """Buttons to choose the language of the pane ``name``."""
    return gr.Radio(
        [(named.label, language) for language, named in LANGUAGES.items()],
        value="python",
        label="Language",
        elem_id=f"{name}-language",
        elem_classes="segmented",
        min_width=220,
    )


def code_update(code: str | None, language: Language) -> dict[str, Any]:
    """Code for an editor, as it is, and its language; None leaves the code that is there."""
    value = {} if code is None else {"value": code}
    return gr.update(language=LANGUAGES[language].highlighter, **value)
