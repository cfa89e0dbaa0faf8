"""The examples of the code panes (``presets.yaml``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from app.generation.records import Language, Pane


@dataclass(frozen=True)
class Preset:
    pane: Pane
    language: Language
    name: str
    code: str


PRESETS = tuple(Preset(**entry) for entry in yaml.safe_load(Path(__file__).with_name("presets.yaml").read_text()))


def presets(pane: Pane, language: Language) -> dict[str, str]:
    """The examples by name."""
    return {preset.name: preset.code for preset in PRESETS if (preset.pane, preset.language) == (pane, language)}
