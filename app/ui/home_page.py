"""The home page as other programs see it: link preview (Open Graph), icons and web manifest.

Gradio's own tags describe Gradio, and one has the address ``{url}``; they are replaced.
"""

from __future__ import annotations

import html
import re
from functools import cache
from pathlib import Path

from anyio import to_thread
from fastapi import APIRouter
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import ShareError
from app.limits import RateLimits
from app.middleware.mount import route_of
from app.middleware.whole_pages import whole_pages
from app.settings import Settings
from app.shares.cookies import address
from app.shares.highlight import runs
from app.shares.models import Share
from app.shares.pages import share_description
from app.shares.preview import SIZE, card
from app.shares.store import ShareStore
from app.shares.text_safety import reveal
from app.ui.code_pane.example_code import presets
from app.ui.first_screen.markup import first_screen, has_first_screen

NAME = "SantaCoder"
TAGLINE = "Watch a tiny code model think, and teach it your code in minutes."
# for the time before the page's own style sheet: the container is as wide as later, and its content is shown when
# drawn.js says that it is complete, or after ten seconds; what is below the panes, when everything is there
_UNTIL_READY = (
    ".gradio-container { width: 100%; max-width: 1320px !important; margin: 0 auto }"
    "html:not([data-drawn]) .contain { visibility: hidden; animation: shown 0s 10s forwards }"
    "@keyframes shown { to { visibility: visible } }"
    "html:not([data-ready]) :is(#footnote, footer) { visibility: hidden }"
    "@media (max-width: 640px) { html:not([data-ready]) #parameters { display: none } }"
)
_ICONS = Path(__file__).parent / "icons"
_CACHED = {"Cache-Control": "public, max-age=86400"}
_GRADIOS_TAGS = re.compile(rb'<meta\s+(?:property="og:|name="twitter:)[^>]*>\s*|<link rel="manifest"[^>]*>\s*')
_END_OF_TAGS = b"<script>window.gradio_config"
_END_OF_BODY = b"</body>"


def home_page_routes() -> APIRouter:
    """The routes of the files that the tags of :class:`HomePageTags` refer to."""
    router = APIRouter(include_in_schema=False)

    @router.get("/preview.png")
    def preview_image() -> Response:
        return Response(_preview(), media_type="image/png", headers=_CACHED)

    @router.get("/icon.svg")
    def icon() -> FileResponse:
        return FileResponse(_ICONS / "icon.svg", headers=_CACHED)

    @router.get("/favicon.ico")
    @router.get("/icon-192.png")
    def small_icon() -> FileResponse:
        return FileResponse(_ICONS / "icon-192.png", headers=_CACHED)

    @router.get("/icon-512.png")
    def large_icon() -> FileResponse:
        return FileResponse(_ICONS / "icon-512.png", headers=_CACHED)

    @router.get("/manifest.json")
    def manifest() -> JSONResponse:
        pngs = [{"src": f"icon-{size}.png", "sizes": f"{size}x{size}", "type": "image/png"} for size in (192, 512)]
        content = {
            "name": NAME,
            "short_name": NAME,
            "description": TAGLINE,
            "start_url": "./",
            "display": "standalone",
            "background_color": "#fbfaf8",
            "theme_color": "#b8322a",
            "icons": [{"src": "icon.svg", "sizes": "any", "type": "image/svg+xml"}, *pngs],
        }
        return JSONResponse(content, media_type="application/manifest+json")

    return router


class HomePageTags:
    """ASGI middleware that replaces Gradio's tags for other programs in the home page by this project's, or by those of
    the share that the address names, and adds the first screen.
    """

    def __init__(self, app: ASGIApp, shares: ShareStore, limits: RateLimits, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._shares = shares
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or route_of(scope) not in ("", "/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        url = str(request.base_url)
        share = await to_thread.run_sync(self._share_of, request) if "share" in request.query_params else None
        settings, screen = self._settings, ""
        if has_first_screen(settings, request.query_params):
            screen = first_screen(settings.model, settings.revision)

        def change(start: Message, page: bytes) -> tuple[Message, bytes]:
            if page:
                page = with_first_screen(with_tags(page, url, share), screen)
                MutableHeaders(raw=start["headers"])["Content-Length"] = str(len(page))
            return start, page

        await self._app(scope, receive, whole_pages(send, change))

    def _share_of(self, request: Request) -> Share | None:
        """The share that the address names; None if it cannot be shown, which the page itself says."""
        try:
            self._limits.count("preview", address(request))
            return self._shares.open(request.query_params["share"]).share
        except ShareError:
            return None


def with_tags(page: bytes, url: str, share: Share | None = None) -> bytes:
    """``page`` with the tags of the home page at ``url``, which ends with a slash, or of ``share``, in place of
    Gradio's.
    """
    head, separator, rest = page.partition(_END_OF_TAGS)
    return _GRADIOS_TAGS.sub(b"", head).replace(b"<head>", b"<head>" + _tags(url, share).encode(), 1) + separator + rest


def with_first_screen(page: bytes, screen: str) -> bytes:
    """``page`` with ``screen`` at the end of its body."""
    body, end, rest = page.rpartition(_END_OF_BODY)
    return body + screen.encode() + end + rest


def _tags(url: str, share: Share | None) -> str:
    title, described, shown, alternative = NAME, TAGLINE, url, f"{NAME}: code that a small model completes"
    image = f"{url}preview.png"
    if share is not None:
        title, described, shown = reveal(share.title), share_description(share), f"{url}s/{share.slug}"
        alternative = f"Code, part of it written by {reveal(share.branch)}"
        image = f"{shown}/preview.png"
    properties = {
        "og:type": "article" if share else "website",
        "og:site_name": NAME,
        "og:title": title,
        "og:description": described,
        "og:url": shown,
        "og:image": image,
        "og:image:width": str(SIZE[0]),
        "og:image:height": str(SIZE[1]),
        "og:image:alt": alternative,
    }
    named = {"twitter:card": "summary_large_image", "description": described, "theme-color": "#b8322a"}
    return "".join(
        [
            f"\n<title>{html.escape(title)}</title>",  # Gradio sets it when it has built the page
            *(f'\n<meta property="{name}" content="{html.escape(value)}">' for name, value in properties.items()),
            *(f'\n<meta name="{name}" content="{html.escape(value)}">' for name, value in named.items()),
            '\n<link rel="icon" href="icon.svg" type="image/svg+xml">',
            '\n<link rel="apple-touch-icon" href="icon-192.png">',
            '\n<link rel="manifest" href="manifest.json">',
            f"\n<style>{_UNTIL_READY}</style>",
        ]
    )


@cache
def _preview() -> bytes:
    """A PNG with the first example of the page."""
    code = next(iter(presets("complete", "python").values()))
    return card(NAME, runs([(code, False)], "python"), TAGLINE)
