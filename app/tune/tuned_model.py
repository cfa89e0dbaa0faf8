"""The model tuned to a project: its name, its commit, and how long it is trained."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from app.project.project_index import project_files
from santacoder.checkpoints.store import read_ref, repo_folder

TUNED_BRANCH = "main"
_MOST_CHARACTERS = 40
_EPOCHS = 3
_BYTES_PER_STEP = 3_400  # 4 × 256 tokens of santacoder/mini
_LEAST_STEPS, _MOST_STEPS = 60, 400


def tuned_model(project: Path) -> str:
    """The repository of the model tuned to the folder ``project``, so that the language server finds it."""
    path = project.resolve()
    name = re.sub(r"[^A-Za-z0-9]+", "-", path.name)[:_MOST_CHARACTERS].strip("-") or "project"
    return f"mine/{name}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"


def tuned_commit(project: Path, store: Path) -> str | None:
    """The commit of the model tuned to ``project``, if one has been published to ``store``."""
    try:
        return read_ref(repo_folder(tuned_model(project), store), TUNED_BRANCH)
    except (OSError, UnicodeDecodeError):
        return None


def is_tuned(project: Path, store: Path) -> bool:
    """Whether a model tuned to ``project`` has been published to ``store``."""
    return tuned_commit(project, store) is not None


def steps_for(project: Path) -> int:
    """Steps in which the training reads the code of ``project`` a few times, within bounds."""
    n_bytes = sum(path.stat().st_size for path in project_files(project) if path.is_file())
    return int(min(max(_EPOCHS * n_bytes / _BYTES_PER_STEP, _LEAST_STEPS), _MOST_STEPS))
