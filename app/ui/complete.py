"""The Complete pane, in which the model continues code at its end."""

from __future__ import annotations

from app.models import Models
from app.settings import Settings
from app.ui.code_pane import CodePane, Controls
from app.ui.pane import code_pane


def complete_pane(settings: Settings, models: Models, controls: Controls) -> CodePane:
    """Fill the surrounding tab."""
    return code_pane("complete", "Code to complete", lambda code: (code,), settings, models, controls)
