"""The page's request as a command or program that runs elsewhere."""

from __future__ import annotations

from app.ui.snippets.call import Call
from app.ui.snippets.curl import curl
from app.ui.snippets.openai_package import openai_package
from app.ui.snippets.transformers_package import transformers_package

__all__ = ["KINDS", "Call", "snippet"]

KINDS = {"curl": "shell", "Python": "python", "transformers": "python"}
"""The kinds of snippets, and their language for highlighting."""


def snippet(kind: str, call: Call) -> str:
    """A snippet of one of :data:`KINDS`. Several gaps are filled one after another, as in the page."""
    return {"curl": curl, "Python": openai_package, "transformers": transformers_package}[kind](call)
