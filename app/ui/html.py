"""HTML from the templates next to this file, with autoescaping, so no text becomes markup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, **values: Any) -> str:
    """The rendered template of that name."""
    return _ENVIRONMENT.get_template(f"{template}.html").render(**values)


def percent(share: float, digits: int = 0) -> str:
    """A share as a percentage, with ``digits`` decimals."""
    return f"{100 * share:.{digits}f} %"
