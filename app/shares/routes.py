"""The routes of shares: permalinks, preview images, likes, reports, deletion links."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache, partial, wraps
from typing import Annotated, Any, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Body, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from app.errors import ShareError, ShareMissing, ShareRefused, StoreUnavailable, TooOften, sentences
from app.limits import RateLimits
from app.shares.cookies import address, visitor
from app.shares.moderation import moderation_routes
from app.shares.pages import PageResponse, deletion_page, message_page, share_page
from app.shares.preview import preview
from app.shares.store import ShareStore

# the first match counts
_STATUS = {TooOften: 429, ShareRefused: 403, ShareMissing: 404, StoreUnavailable: 503}
_HEADINGS = {
    TooOften: "Too often",
    ShareRefused: "This is not possible",
    ShareMissing: "No such share",
    StoreUnavailable: "The shares cannot be reached",
}
T = TypeVar("T")
_PREVIEWS = 256  # of some 40 KB each
_THREADS = 8
_PREVIEW_CACHED = "public, max-age=3600"


def add_share_routes(app: FastAPI, store: ShareStore, limits: RateLimits, moderator_key: str) -> None:
    """Add the routes of shares to ``app``, and error messages for the exceptions of the store."""
    app.include_router(_routes(store, limits))
    app.include_router(moderation_routes(store, limits, moderator_key))
    app.add_exception_handler(ShareError, _explain)
    app.add_exception_handler(RequestValidationError, _explain_input)


def _routes(store: ShareStore, limits: RateLimits) -> APIRouter:
    router = APIRouter(prefix="/s", include_in_schema=False)
    threads = CapacityLimiter(_THREADS)

    def aside(endpoint: Callable[..., T]) -> Callable[..., Awaitable[T]]:
        """``endpoint`` in threads reserved for shares, so that a locked database blocks nothing else."""

        @wraps(endpoint)
        async def answer(**values: Any) -> T:
            return await to_thread.run_sync(partial(endpoint, **values), limiter=threads)

        return answer

    @lru_cache(_PREVIEWS)
    def image(slug: str) -> bytes:
        return preview(store.open(slug).share)

    @router.get("/{slug}")
    @aside
    def permalink(slug: str, request: Request) -> PageResponse:
        limits.count("open", address(request))
        return PageResponse(share_page(store.open(slug).share, str(request.url.replace(query=""))))

    @router.get("/{slug}/preview.png")
    @aside
    def preview_image(slug: str, request: Request) -> Response:
        limits.count("preview", address(request))
        store.open(slug)  # it may have been deleted or hidden since the image was rendered
        return Response(image(slug), media_type="image/png", headers={"Cache-Control": _PREVIEW_CACHED})

    @router.post("/visitor", status_code=204)
    def become_visitor(request: Request) -> Response:
        """Set the visitor's cookie, without which an event of the page cannot tell visitors apart."""
        response = Response(status_code=204)
        visitor(request, response)
        return response

    @router.put("/{slug}/like")
    @router.delete("/{slug}/like")
    @aside
    def like(slug: str, request: Request, response: Response) -> dict[str, Any]:
        limits.count("like", address(request))
        liked = request.method == "PUT"
        return {"likes": store.like(slug, visitor(request, response), liked), "liked": liked}

    async def count_report(request: Request) -> None:  # before the body is validated
        limits.count("report", address(request))

    @router.post("/{slug}/report", dependencies=[Depends(count_report)])
    @aside
    def report(
        slug: str, reason: Annotated[str, Body(embed=True)], request: Request, response: Response
    ) -> dict[str, str]:
        store.report(slug, visitor(request, response), reason)
        return {"message": "Thank you. A moderator will look at it."}

    @router.get("/{slug}/delete/{token}")
    def ask_before_deletion(slug: str, token: str) -> PageResponse:
        # not "no-referrer": the form would be sent without an origin. Both hide the address from other servers
        return PageResponse(deletion_page(slug), headers={"Referrer-Policy": "same-origin"})

    @router.post("/{slug}/delete/{token}")
    @aside
    def delete(slug: str, token: str) -> PageResponse:
        store.delete(slug, token)
        return PageResponse(message_page("Deleted", "The share and its permalink are gone.", home="../../../"))

    return router


def _explain(request: Request, error: Exception) -> Response:
    """A page for a person who follows a link, JSON for a script."""
    status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse({"error": str(error)}, status)
    heading = next(heading for kind, heading in _HEADINGS.items() if isinstance(error, kind))
    below_prefix = request.url.path.removeprefix(request.scope.get("root_path", ""))
    home = "../" * (below_prefix.count("/") - 1) or "./"
    return PageResponse(message_page(heading, str(error), home), status)


def _explain_input(_: Request, error: Exception) -> JSONResponse:
    """FastAPI's own answer repeats the input, which may have values that JSON cannot have."""
    assert isinstance(error, RequestValidationError)
    return JSONResponse({"error": sentences(error.errors(), n_outer=1)}, 400)
