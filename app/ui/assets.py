"""The page's style sheets and scripts."""

from __future__ import annotations

from pathlib import Path

from app.shares.pages import CODE_STYLE

_HERE = Path(__file__).parent


def _joined(pattern: str) -> str:
    return "\n".join(path.read_text() for path in sorted(_HERE.glob(pattern)))


STYLE = _joined("style/*.css") + CODE_STYLE
HEAD = f"<script>{_joined('scripts/*.js')}</script>"
