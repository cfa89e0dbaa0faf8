"""The preview image that other sites show for a link to a share (Open Graph), 1200 × 630 pixels."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from app.shares.highlight import Run, runs
from app.shares.models import Share
from app.shares.text_safety import reveal

SIZE = (1200, 630)
_MARGIN = 56
_CODE_TOP, _CODE_BOTTOM = 124, 556
_LINE_HEIGHT, _CHARACTER_WIDTH = 1.4, 0.6  # relative to the font size
_TAB = 4
_BACKGROUND, _TEXT, _QUIET, _WRITTEN, _ACCENT = "#1c1917", "#e7e5e4", "#a8a29e", "#143c2c", "#ef4444"
_COLOURS = {"comment": "#a8a29e", "string": "#86efac", "number": "#fdba74", "keyword": "#fda4af", "name": "#93c5fd"}
# a monospaced font that is installed with Gradio
_FONT = "templates/frontend/static/fonts/IBMPlexMono/IBMPlexMono-Regular.woff2"


def preview(share: Share) -> bytes:
    """A PNG with the share's title, its highlighted excerpt and the model."""
    footer = f"SantaCoder · {reveal(share.branch)} · {share.sha[:8]}"
    return card(reveal(share.title), runs(share.excerpt, share.language), footer)


def card(heading: str, code: list[Run], line: str) -> bytes:
    """A PNG with a ``heading``, highlighted ``code``, and a ``line`` below it."""
    image = Image.new("RGB", SIZE, _BACKGROUND)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, SIZE[0], 10), fill=_ACCENT)
    title = _font(38)
    draw.text((_MARGIN, 44), _fitting(heading, title), _TEXT, title)
    _draw_code(draw, code)
    footer = _font(22)
    draw.text((_MARGIN, SIZE[1] - 54), _fitting(line, footer), _QUIET, footer)
    output = io.BytesIO()
    image.save(output, "PNG", optimize=True)
    return output.getvalue()


def _draw_code(draw: ImageDraw.ImageDraw, code: list[Run]) -> None:
    lines = "".join(run.text for run in code).expandtabs(_TAB).split("\n")
    size = _font_size(len(lines), max(map(len, lines)))
    font, height = _font(size), round(size * _LINE_HEIGHT)
    left, top = float(_MARGIN), _CODE_TOP
    for run in code:
        for index, text in enumerate(run.text.expandtabs(_TAB).split("\n")):
            if index:
                left, top = float(_MARGIN), top + height
            if top + height > _CODE_BOTTOM:
                return
            right = left + font.getlength(text)
            if run.written and text:
                draw.rectangle((left, top, right, top + height - 1), _WRITTEN)
            if left < SIZE[0]:
                draw.text((left, top + size // 6), text, _COLOURS.get(run.kind, _TEXT), font)
            left = right


def _font_size(n_lines: int, n_columns: int) -> int:
    """The largest font size that shows everything, within readable bounds."""
    by_height = (_CODE_BOTTOM - _CODE_TOP) / n_lines / _LINE_HEIGHT
    by_width = (SIZE[0] - 2 * _MARGIN) / max(1, n_columns) / _CHARACTER_WIDTH
    return int(min(32, max(20, min(by_height, by_width))))


def _fitting(text: str, font: ImageFont.FreeTypeFont) -> str:
    """``text``, truncated to the width of the image."""
    width = SIZE[0] - 2 * _MARGIN
    if font.getlength(text) <= width:
        return text
    while font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    import gradio  # not at the top, because an API without a page does without it

    return ImageFont.truetype(Path(gradio.__file__).parent / _FONT, size, layout_engine=ImageFont.Layout.BASIC)
