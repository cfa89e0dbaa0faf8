"""The site in which models run in the visitor's browser (``python -m export.site``), below ``/browser/``."""

from __future__ import annotations

from pathlib import Path

from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from santacoder.errors import UserError


def browser_site(folder: Path) -> Mount:
    """The route of the site in ``folder``."""
    return Mount("/browser", _Site(directory=folder, html=True), name="browser")


def require_site(folder: Path | None) -> None:
    """Check the folder that the user named, if any.

    Raises:
        UserError: there is no site in it.
    """
    if folder is not None and not (folder / "models.json").is_file():
        raise UserError(f"{folder} has no site; write one with: python -m export.site --out {folder} REPO")


class _Site(StaticFiles):
    """Files that browsers ask for again, because a site may be written anew; unchanged ones are not sent again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.setdefault("Cache-Control", "no-cache")
        return response
