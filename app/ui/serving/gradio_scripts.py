"""Four of the functions in Gradio's scripts, changed as they are served: the page spent half of its time in three, and
one shows messages as HTML. Gradio's version is pinned; in another one, a script without the expected text is served as
it is.
"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import NamedTuple

import gradio
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.middleware.compression import accepts_gzip

ASSETS = Path(gradio.__file__).parent / "templates" / "frontend" / "assets"


class Change(NamedTuple):
    """A text in the script whose name begins with ``script``, and what takes its place."""

    script: str
    old: str
    new: str


_SEARCH = (
    "function {0}(e,t){{if(e.id===t)return e;if(e.children)for(let n of e.children){{let e={0}(n,t);if(e)return e}}"
    "return null}}"
)
_FOUND = (
    "var found=new WeakMap;function Z(e,t){let n=found.get(e);n||found.set(e,n=new Map);"
    "let r=n.get(t)??search(e,t);r&&n.set(t,r);return r}"
)
CHANGES = [
    # After each message of the queue, the state of every event's inputs is written into their components. Only inputs
    # that stream show it, and the page has none; the states of outputs are left, which show progress.
    Change("statustracker", "return p.concat(h).map(", "return p.map("),
    # The timer of a status that is removed while it runs goes on for ever, 60 times a second. The first one is that of
    # the page's own loading.
    Change("statustracker", "W&&ze()", "W&&$?.isConnected&&ze()"),
    # Messages of errors and warnings would be HTML, and they quote what links and visitors say. They are escaped here
    # rather than on the server, whose other clients show them as they are.
    Change("statustracker", "le(w(n).message||v[t.type])", "new Option(w(n).message||v[t.type]).innerHTML"),
    # Each update of a component searches the whole tree for it. Nodes stay in the tree of a page that renders nothing
    # anew, so that what was found once need not be searched for again.
    Change("core", _SEARCH.format("Z"), _SEARCH.format("search") + _FOUND),
]


def gradio_script_routes() -> APIRouter:
    """Routes of the changed scripts, which come before Gradio's."""
    router = APIRouter(include_in_schema=False)
    for script in {change.script for change in CHANGES}:
        for path in ASSETS.glob(f"{script}-*.js"):
            text = changed(path)
            if text is not None:
                _add(router, path.name, text.encode())
    return router


def changed(path: Path) -> str | None:
    """The script with all its changes; None if it does not have each text exactly once."""
    text = path.read_text()
    for script, old, new in CHANGES:
        if path.name.startswith(f"{script}-"):
            if text.count(old) != 1:
                return None
            text = text.replace(old, new)
    return text


def _add(router: APIRouter, name: str, script: bytes) -> None:
    compressed = gzip.compress(script)
    headers = {"ETag": f'"{hashlib.sha256(script).hexdigest()[:32]}"', "Vary": "Accept-Encoding"}

    @router.get(f"/assets/{name}")
    def serve(request: Request) -> Response:
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        if accepts_gzip(request.headers.get("Accept-Encoding", "")):
            return Response(compressed, media_type="text/javascript", headers={**headers, "Content-Encoding": "gzip"})
        return Response(script, media_type="text/javascript", headers=headers)
