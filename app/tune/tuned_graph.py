"""A graph of the tuned model, which runs faster than PyTorch on a CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from app.training_data import last_line
from app.training_request import CODE_FOLDER, SHARING_CORES

_SECONDS = 1800


def add_graph(repo_id: str, branch: str, store: Path) -> str:
    """Add an int8 graph to a revision in ``store``, as ``python -m export`` does. Returns why there is none, or
    nothing."""
    command = [sys.executable, "-m", "export", repo_id, "--revision", branch, "--store", str(store.resolve())]
    environment = {**SHARING_CORES, **os.environ}
    try:
        ended = subprocess.run(
            command,
            cwd=CODE_FOLDER,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
        )
    except KeyboardInterrupt:
        return "it was stopped."
    except subprocess.TimeoutExpired:
        return f"writing it takes longer than {_SECONDS // 60} minutes."
    return "" if ended.returncode == 0 else last_line(ended.stderr)
