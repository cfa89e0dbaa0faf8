"""PyTorch, which an installation that only serves graphs lacks."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

from santacoder.errors import UserError


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


def how_to_install(for_what: str) -> str:
    """A sentence for users without PyTorch; ``for_what`` needs it."""
    return f"{for_what} needs PyTorch, which this installation lacks: install the whole project with: pip install ."
