"""The page as a whole: model and revision menus, the panes, the parameters two of them share."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from app.models import Models
from app.settings import Settings
from app.training import Jobs
from app.ui.complete import complete_pane
from app.ui.infill import infill_pane
from app.ui.parameters import parameter_controls
from app.ui.revision_menus import revision_menus
from app.ui.train import train_pane

_HERE = Path(__file__).parent
STYLE = (_HERE / "style.css").read_text()
HEAD = f"<script>{(_HERE / 'page.js').read_text()}</script>"
# system fonts: the page asks no other host for anything
THEME = gr.themes.Base(
    primary_hue="red",
    neutral_hue="stone",
    font=["system-ui", "sans-serif"],
    font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "monospace"],
)


def build_playground(settings: Settings, models: Models) -> gr.Blocks:
    """The Gradio application."""
    with gr.Blocks(title="SantaCoder", analytics_enabled=False, fill_width=True) as page:
        with gr.Row(elem_id="header"):
            gr.Markdown("# SantaCoder\nA small code model to play with, look into and train yourself.", elem_id="title")
            revision = revision_menus(page, settings)
        with gr.Row(equal_height=False):
            with gr.Column(scale=3, min_width=300), gr.Tabs(elem_id="panes"):
                complete = gr.Tab("Complete", id="complete")
                infill = gr.Tab("Fill in the middle", id="infill")
                train = gr.Tab("Train", id="train", visible=settings.training_is_allowed)
            with gr.Column(scale=1, min_width=260, elem_id="parameters"):
                parameters = parameter_controls()
        with complete:
            complete_pane(models, revision, parameters)
        with infill:
            infill_pane(models, revision, parameters)
        # the parameters are those of writing
        for tab in (complete, infill):
            tab.select(None, js="() => document.body.classList.remove('training')", api_visibility="private")
        train.select(None, js="() => document.body.classList.add('training')", api_visibility="private")
        if settings.training_is_allowed:
            with train:
                train_pane(Jobs(settings.runs, settings.store), train, revision, settings.store)
        gr.Markdown(
            "The model may write code that is wrong, insecure or copied from its training files. "
            "Read it before you run it, and honour the licence of what it copied.",
            elem_id="footnote",
        )
    return page
