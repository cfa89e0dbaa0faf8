"""The first screen as HTML, which the home page begins with, and its script.

Gradio takes seconds on a phone to build all panes. Until they are needed, ``first_screen.js`` shows this screen
instead, which runs the first example as the Complete pane would, and hands over to the pane.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse
from starlette.datastructures import QueryParams

from app.settings import Settings
from app.ui.code_pane.example_code import presets
from app.ui.html import render

_HERE = Path(__file__).parent
_SCRIPT = "first-screen.js"
# the page shows something else first, or in other colours
_NAMED_BY_OTHERS = {"share", "pane", "model", "branch", "commit", "view", "__theme"}


def first_screen_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get(f"/{_SCRIPT}")
    def script() -> FileResponse:
        # checked each time: it must match the page
        return FileResponse(
            _HERE / "first_screen.js", media_type="text/javascript", headers={"Cache-Control": "no-cache"}
        )

    return router


def has_first_screen(settings: Settings, query: QueryParams) -> bool:
    """Whether the home page at that address may begin with the first screen: not where a login comes first, and not if
    the address names what the page shows.
    """
    return not settings.users and _NAMED_BY_OTHERS.isdisjoint(query)


@cache
def first_screen(model: str, branch: str) -> str:
    """The HTML for the end of the page's body; hidden until its script shows it."""
    return render(
        "first_screen",
        title=(_HERE.parent / "title.html").read_text(),
        style=(_HERE / "first_screen.css").read_text(),
        script=_SCRIPT,
        model=model,
        branch=branch,
        code=next(iter(presets("complete", "python").values())),
    )
