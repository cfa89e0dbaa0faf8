"""PyTorch, which an installation that only serves graphs lacks."""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import find_spec

from santacoder.errors import UserError
from santacoder.paths import command_name


@cache
def is_installed() -> bool:
    """Whether PyTorch can be imported, found without importing it."""
    return find_spec("torch") is not None


def require(for_what: str) -> None:
    """Check that PyTorch can be imported.

    Raises:
        UserError: it is not installed; the sentence begins with ``for_what``.
    """
    if not is_installed():
        raise UserError(how_to_install(for_what))


def require_for_command(subcommand: str, otherwise: str) -> None:
    """End the process with a sentence if PyTorch cannot be imported. Call this before the imports of a command that
    imports PyTorch; its name is as in ``command_name``."""
    if not is_installed():
        sys.exit(how_to_install(command_name(subcommand, otherwise)))


def how_to_install(for_what: str) -> str:
    """A sentence for users without PyTorch; ``for_what`` needs it."""
    return f"{for_what} needs PyTorch, which this installation lacks: install the whole project with: pip install ."
