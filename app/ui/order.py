"""The order of a prompt with a gap: chosen by the user, or by where the gap is."""

from __future__ import annotations

from typing import Literal

import gradio as gr

from app.generation import Pane
from santacoder.engine.gap_start import suits_suffix_first
from santacoder.fim import FimOrder

OrderChoice = Literal["auto", "psm", "spm"]


def order_choice(name: Pane) -> gr.Radio:
    """A choice of the order, for panes with gaps."""
    return gr.Radio(
        [("Auto", "auto"), ("Prefix first", "psm"), ("Suffix first", "spm")],
        value="auto",
        label="Prompt order",
        elem_id=f"{name}-order",
        elem_classes="segmented",
        min_width=280,
        visible=name == "infill",
    )


def chosen_order(choice: OrderChoice, parts: tuple[str, ...]) -> FimOrder:
    """The chosen order. Automatically, it is suffix first for a gap inside a line or after a word, so that the text
    before the gap is continued like any other, and prefix first for whole lines, like most of the training data."""
    if choice != "auto":
        return choice
    return "spm" if len(parts) > 1 and suits_suffix_first(parts[0], parts[1]) else "psm"
