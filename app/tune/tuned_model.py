"""The name under which the model tuned to a project is published."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

TUNED_BRANCH = "main"
_MOST_CHARACTERS = 40


def tuned_model(project: Path) -> str:
    """The repository of the model tuned to the folder ``project``, so that the language server finds it."""
    path = project.resolve()
    name = re.sub(r"[^A-Za-z0-9]+", "-", path.name)[:_MOST_CHARACTERS].strip("-") or "project"
    return f"mine/{name}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"


def is_tuned(project: Path, store: Path) -> bool:
    """Whether a model tuned to ``project`` has been published to ``store``."""
    organisation, _, name = tuned_model(project).partition("/")
    return (store / f"models--{organisation}--{name}" / "refs" / TUNED_BRANCH).is_file()
