"""The moderator's page, where reported shares are hidden or shown again."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import RedirectResponse
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from app.errors import ShareMissing, ShareRefused
from app.limits import RateLimits
from app.shares.cookies import address
from app.shares.pages import PageResponse, moderation_page
from app.shares.store import ShareStore

_BASIC = HTTPBasic(realm="SantaCoder moderation", auto_error=False)


def moderation_routes(store: ShareStore, limits: RateLimits, key: str) -> APIRouter:
    """``/moderation``, if there is a ``key``, which is the page's password."""

    def check(request: Request, given: Annotated[HTTPBasicCredentials | None, Depends(_BASIC)]) -> None:
        if not key:
            raise ShareMissing("This server has no moderator: it was started without SANTACODER_MODERATOR_KEY.")
        if given is not None:
            limits.count("moderate", address(request))
        if given is None or not hmac.compare_digest(given.password.encode(), key.encode()):
            raise HTTPException(
                401,
                "The password of this page is SANTACODER_MODERATOR_KEY; any name will do.",
                {"WWW-Authenticate": f'Basic realm="{_BASIC.realm}"'},
            )

    router = APIRouter(prefix="/moderation", dependencies=[Depends(check)], include_in_schema=False)

    @router.get("")
    def reported() -> PageResponse:
        return PageResponse(moderation_page(store.reports()), headers={"Cache-Control": "no-store"})

    @router.post("/{slug}/{action}")
    def moderate(slug: str, action: str, request: Request) -> RedirectResponse:
        # browsers also send the password with cross-site requests, but mark them
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise ShareRefused("Only the moderation page itself can do this.")
        if action not in ("hide", "show"):
            raise ShareMissing(f"The action must be hide or show, not {action[:20]!r}.")
        store.moderate(slug, hidden=action == "hide")
        return RedirectResponse("../../moderation", 303)

    return router
