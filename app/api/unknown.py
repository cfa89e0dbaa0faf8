"""Errors for wrong methods on known paths, and for unknown paths of a protocol.

Otherwise the page, which is mounted after the API, would answer both with its own 404.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import NoReturn

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from app.api.error_responses import ErrorBody, route_class
from app.errors import ApiError

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_OF_THE_PAGE = "/"


def answer_other_methods(router: APIRouter) -> APIRouter:
    """``router`` itself, whose paths now answer HEAD like GET, and 405 to unsupported methods."""
    by_path: dict[str, dict[str, APIRoute]] = defaultdict(dict)
    for route in router.routes:
        if isinstance(route, APIRoute) and route.path != _OF_THE_PAGE:
            by_path[route.path].update(dict.fromkeys(route.methods or (), route))
    for path, by_method in by_path.items():
        place = path.removeprefix(router.prefix)
        known = set(by_method)
        if "GET" in by_method:
            known.add("HEAD")
            router.add_api_route(place, by_method["GET"].endpoint, methods=["HEAD"], include_in_schema=False)
        router.add_api_route(
            place, _refuse(path, known), methods=sorted(_METHODS - known), response_model=None, include_in_schema=False
        )
    return router


def unknown_paths(prefix: str, error_body: ErrorBody) -> APIRouter:
    """A router for all unknown paths below ``prefix``; include it after the known ones."""
    router = APIRouter(prefix=prefix, route_class=route_class(error_body), include_in_schema=False)

    def unknown(request: Request) -> NoReturn:
        path = request.path_params.get("path")
        place = prefix if path is None else f"{prefix}/{path}"
        raise ApiError(404, f"There is no {place} here. /docs lists all endpoints.")

    for path in ["", "/{path:path}"] if prefix else ["/{path:path}"]:
        router.add_api_route(path, unknown, methods=sorted(_METHODS), response_model=None)

    return router


def _refuse(path: str, known: set[str]) -> Callable[[], NoReturn]:
    def refuse() -> NoReturn:
        allowed = ", ".join(sorted(known))
        raise HTTPException(405, f"{path} supports only {allowed}", {"Allow": allowed})

    return refuse
