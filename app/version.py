"""The version of this program, for clients that show it."""

from __future__ import annotations

import re
from importlib import metadata

from santacoder.paths import CHECKOUT

_PACKAGE = "santacoder-playground"


def installed_version() -> str:
    """The version of the installed package, or of the checkout that runs without being installed."""
    try:
        return metadata.version(_PACKAGE)
    except metadata.PackageNotFoundError:
        written = (CHECKOUT / "pyproject.toml").read_text() if CHECKOUT else ""
        found = re.search(r'^version = "(.+)"', written, re.MULTILINE)
        return found[1] if found else ""
