"""The path of a request, relative to the path that the server is mounted at."""

from __future__ import annotations

from starlette.types import Scope


def route_of(scope: Scope) -> str:
    """Strip the mount's path from the path of ``scope``."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
