"""The page's address, which names the pane and the revision: ``/?pane=compare&model=…`` (``scripts/address.js``)."""

from __future__ import annotations

import json
from collections.abc import Sequence

import gradio as gr

from app.ui.components import QUIET

PANES = {
    "complete": "Complete",
    "infill": "Fill in the middle",
    "compare": "Compare",
    "branches": "Branches",
    "gallery": "Gallery",
    "train": "Train",
}
"""The titles of all panes, by the name that the address has."""


def connect_address(tabs: Sequence[gr.Tab], menus_filled: gr.events.Dependency) -> None:
    """Open the pane that the address names, and keep the address up to date. The menus read the revision from it
    themselves, and ``picker.js`` tells it of choices."""
    for tab in tabs:
        tab.select(None, js=f"() => santacoder.address.pane({tab.id!r})", **QUIET)
    menus_filled.then(None, js=f"() => santacoder.address.follow({json.dumps(PANES)})", **QUIET)
