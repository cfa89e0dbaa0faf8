"""The page's theme, style sheets and scripts."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from app.shares.pages import CODE_STYLE

_HERE = Path(__file__).parent


def _joined(pattern: str) -> str:
    return "\n".join(path.read_text() for path in sorted(_HERE.glob(pattern)))


STYLE = _joined("style/*.css") + CODE_STYLE
HEAD = f"<script>{_joined('scripts/*.js')}</script>"

_RED = gr.themes.Color(
    name="santa",
    c50="#fdf3f2",
    c100="#fbe3e1",
    c200="#f7cac6",
    c300="#efa49d",
    c400="#e3736a",
    c500="#d24a3f",
    c600="#b8322a",
    c700="#9a2720",
    c800="#7f231e",
    c900="#6a221e",
    c950="#390e0b",
)
_PAPER = gr.themes.Color(
    name="paper",
    c50="#fbfaf8",
    c100="#f4f2ee",
    c200="#e7e3dc",
    c300="#d3cdc3",
    c400="#a49c90",
    c500="#6f675c",
    c600="#575047",
    c700="#403a33",
    c800="#282420",
    c900="#1c1917",
    c950="#141210",
)

# system fonts: the page loads nothing from other hosts
THEME = gr.themes.Base(
    primary_hue=_RED,
    secondary_hue=_RED,
    neutral_hue=_PAPER,
    radius_size="md",
    font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
    font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"],
).set(
    body_background_fill="*neutral_50",
    body_background_fill_dark="*neutral_950",
    body_text_color="*neutral_900",
    body_text_color_dark="*neutral_100",
    body_text_color_subdued="*neutral_500",
    body_text_color_subdued_dark="*neutral_400",
    background_fill_primary="white",
    background_fill_primary_dark="*neutral_900",
    background_fill_secondary="*neutral_50",
    background_fill_secondary_dark="*neutral_950",
    border_color_primary="*neutral_200",
    border_color_primary_dark="*neutral_800",
    block_background_fill="white",
    block_background_fill_dark="*neutral_900",
    block_border_width="1px",
    block_label_background_fill="transparent",
    block_label_background_fill_dark="transparent",
    block_label_border_width="0px",
    block_label_text_color="*neutral_500",
    block_label_text_color_dark="*neutral_400",
    block_title_text_weight="600",
    block_info_text_color="*neutral_500",
    block_info_text_color_dark="*neutral_400",
    block_shadow="none",
    input_border_width="1px",
    input_border_width_dark="1px",
    input_background_fill="white",
    input_background_fill_dark="*neutral_900",
    input_border_color="*neutral_300",
    input_border_color_dark="*neutral_700",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_dark="*primary_600",
    button_primary_background_fill_hover="*primary_700",
    button_primary_background_fill_hover_dark="*primary_700",
    button_primary_text_color="white",
    button_primary_text_color_dark="white",
    button_secondary_background_fill="white",
    button_secondary_background_fill_dark="*neutral_800",
    button_secondary_background_fill_hover="*neutral_100",
    button_secondary_background_fill_hover_dark="*neutral_700",
    button_secondary_border_color="*neutral_300",
    button_secondary_border_color_dark="*neutral_700",
    # light enough to be readable on the dark page
    link_text_color_dark="*primary_300",
    link_text_color_hover_dark="*primary_200",
    link_text_color_visited_dark="*primary_300",
    color_accent_soft_dark="*neutral_800",
    # visible on the dark card
    checkbox_border_color_dark="*neutral_500",
    slider_color="*primary_600",
    slider_color_dark="*primary_500",
)
