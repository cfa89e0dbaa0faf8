"""The pane that fills gaps inside code."""

from __future__ import annotations

from app.generation import MARK
from app.models import Models
from app.settings import Settings
from app.ui.code_pane import CodePane, Controls
from app.ui.pane import code_pane
from santacoder.errors import UserError

MAX_GAPS = 8


def infill_pane(settings: Settings, models: Models, controls: Controls) -> CodePane:
    """Fill the surrounding tab."""
    label = f"Code with {MARK} where something is missing"
    return code_pane("infill", label, split_at_marks, settings, models, controls)


def split_at_marks(code: str) -> tuple[str, ...]:
    """The code split at the gap markers.

    Raises:
        UserError: there is no gap marker, or there are too many.
    """
    parts = tuple(code.split(MARK))
    if len(parts) == 1:
        raise UserError(f"The code has no gap: put {MARK} where something is missing.")
    if len(parts) - 1 > MAX_GAPS:
        raise UserError(f"The code has {len(parts) - 1} gaps ({MARK}); at most {MAX_GAPS} can be filled at once.")
    return parts
