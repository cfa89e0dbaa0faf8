"""Whether the server can do its work, and what is wrong where it cannot."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Check = Callable[[], str | None]
"""A sentence that says what is wrong, or None."""

_LEAST_FREE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Health:
    """Named checks, each of which takes no longer than an answer may take, and how to mend what they find."""

    checks: dict[str, Check]
    mend: Callable[[], None] = lambda: None

    def problems(self) -> dict[str, str]:
        """What is wrong, by the name of the check that found it."""
        found = {name: _sentence(check) for name, check in self.checks.items()}
        return {name: sentence for name, sentence in found.items() if sentence}


def disk_check(folder: Path) -> Check:
    """Whether the disk under ``folder`` has room; whatever is written there would be lost."""

    def check() -> str | None:
        existing = next(path for path in [folder.absolute(), *folder.absolute().parents] if path.exists())
        free = shutil.disk_usage(existing).free
        if free >= _LEAST_FREE_BYTES:
            return None
        return f"The disk with the models is full: {free / 1e6:.0f} MB are left. Make room on it."

    return check


def _sentence(check: Check) -> str | None:
    try:
        return check()
    except Exception as error:  # a check that fails has found something, too
        return f"{str(error).rstrip('.') or type(error).__name__}."
