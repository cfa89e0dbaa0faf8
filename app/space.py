"""The environment of a Gradio app and of a Hugging Face Space, as settings of this server."""

from __future__ import annotations

import os
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

_PERSISTENT = Path("/data")
"""Where a Space's persistent storage is mounted, if it has any."""
_REQUESTS_PER_MINUTE = "600"  # as in the container


def adopt_environment(environment: MutableMapping[str, str], persistent: Path = _PERSISTENT) -> None:
    """Set variables of this server, unless they are set, from those of Gradio and of a Space.

    ``GRADIO_SERVER_NAME`` and ``GRADIO_SERVER_PORT`` are the address. In a Space, which sets ``SPACE_ID``, visitors
    come through one proxy, and shares, downloaded models and their graphs are kept in ``persistent``, or in a temporary
    folder if there is no such storage: the home folder may not be writable, and is lost at a restart.
    """
    found = {
        "SANTACODER_HOST": environment.get("GRADIO_SERVER_NAME"),
        "SANTACODER_PORT": environment.get("GRADIO_SERVER_PORT"),
    }
    if environment.get("SPACE_ID"):
        folder = persistent if _is_writable(persistent) else Path(tempfile.gettempdir()) / "santacoder"
        found |= {
            "SANTACODER_PROXIES": "1",
            "SANTACODER_REQUESTS_PER_MINUTE": _REQUESTS_PER_MINUTE,
            "SANTACODER_LOG_LEVEL": "info",
            "SANTACODER_DATABASE_URL": f"sqlite:///{folder / 'shares' / 'shares.db'}",
            "HF_HOME": str(folder / "huggingface"),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
    for name, value in found.items():
        if value and not environment.get(name):
            environment[name] = value


def _is_writable(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
