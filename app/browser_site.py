"""The site in which models run in the visitor's browser (``python -m export.site``), below ``/browser/``."""

from __future__ import annotations

from pathlib import Path

from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope


def browser_site(folder: Path) -> Mount:
    """The route of the site in ``folder``."""
    return Mount("/browser", _Site(directory=folder, html=True), name="browser")


class _Site(StaticFiles):
    """Files that browsers ask for again, because a site may be written anew; unchanged ones are not sent again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.setdefault("Cache-Control", "no-cache")
        return response
