"""The page's style sheets and scripts."""

from __future__ import annotations

import json
from pathlib import Path

from app.shares.pages import CODE_STYLE
from app.ui.code_pane.example_code import PRESETS

_HERE = Path(__file__).parent


def _joined(pattern: str) -> str:
    """The files in the order of their names: ``a_santacoder.js`` first, because the other scripts add to its object."""
    return "\n".join(path.read_text() for path in sorted(_HERE.glob(pattern)))


STYLE = _joined("style/*.css") + CODE_STYLE
# the code after which ghost.js asks for a suggestion; in a script, "<" could end it
_EXAMPLES = json.dumps([preset.code for preset in PRESETS if preset.pane == "complete"]).replace("<", "\\u003c")
HEAD = f"<script>{_joined('scripts/*.js')}\nsantacoder.examples = {_EXAMPLES};</script>"
