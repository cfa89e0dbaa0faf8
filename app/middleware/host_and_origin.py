"""Checks of ``Host`` and ``Origin``: which names the server answers to, and which websites may send it requests.

A website can point its own name to 127.0.0.1 (DNS rebinding). A browser then treats the server as part of that website,
but sends the website's name in ``Host``. A website can also send requests to any server, with the cookies and passwords
that the browser has for it; the browser says where they come from in ``Origin`` and ``Sec-Fetch-Site``.
https://developer.mozilla.org/en-US/docs/Web/Security/Attacks/CSRF
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.middleware.mount import route_of

_HOST = re.compile(r"(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9._-]{1,253}))(?::([0-9]{1,5}))?", re.IGNORECASE)
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class HostAndOrigin:
    """ASGI middleware: 421 for other hosts, 403 for cross-site requests.

    Args:
        host: the address that the server listens on.
        names: further names of the server; ``*`` is any.
        origins: other origins whose pages may use the API; ``*`` is all.
    """

    def __init__(self, app: ASGIApp, host: str, names: Sequence[str] = (), origins: Sequence[str] = ()) -> None:
        self._app = app
        self._names = {_plain(name) for name in [*names, host]}
        self._any_address = host in ("", "0.0.0.0", "::")
        self._any_name = "*" in names
        self._origins = {origin.lower() for origin in origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Gradio would trust it, for a server of its own that is not used here
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"x-gradio-server"]
        headers = Headers(scope=scope)
        foreign = self._foreign_host(headers)
        if foreign is not None:
            response = _refusal(
                421,
                f"This server does not answer to the host {foreign[:100]!r}. "
                "Its operator can add names with --allowed-hosts.",
            )
        elif _changes_something(scope) and self._is_foreign(headers, scope):
            response = _refusal(
                403,
                "This request comes from another website. Only pages of this server and of --cors-origins are allowed.",
            )
        else:
            await self._app(scope, receive, send)
            return
        await response(scope, receive, send)

    def _foreign_host(self, headers: Headers) -> str | None:
        """The host that a request names, if it is not the server.

        Gradio takes the page's address from ``X-Forwarded-Host``, so that must be the server, too.
        """
        hosts = headers.getlist("host")
        if len(hosts) != 1:
            return ", ".join(hosts)
        forwarded = ",".join(headers.getlist("x-forwarded-host"))
        named = [*hosts, *(host.strip() for host in forwarded.split(",") if forwarded)]
        return next((host for host in named if not self._is_own_host(host)), None)

    def _is_own_host(self, host: str) -> bool:
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = _plain(match[1] or match[2])
        if self._any_name or name in self._names or name == "localhost":
            return True
        # no website can own an address, so if the server listens on all addresses, all are its names
        address = _address(name)
        return address is not None and (address.is_loopback or self._any_address)

    def _is_foreign(self, headers: Headers, scope: Scope) -> bool:
        origins = headers.getlist("origin")
        if len(origins) > 1:
            return True
        if origins and _may_use_the_api(scope) and not self._origins.isdisjoint((origins[0].lower(), "*")):
            return False
        site = headers.get("sec-fetch-site", "").lower()
        if site not in ("", "same-origin", "none"):
            return True
        if not origins or (origins[0] == "null" and site == "same-origin"):  # a page that hides its origin
            return False
        return not self._is_own_origin(origins[0], headers["host"], scope["scheme"])

    def _is_own_origin(self, origin: str, host: str, scheme: str) -> bool:
        try:
            parts = urlsplit(origin.lower())
            name, port = parts.hostname, parts.port
        except ValueError:
            return False
        # a proxy may not report that it was reached by https, but an https request never comes from an http page
        if name is None or parts.scheme not in _DEFAULT_PORTS or (scheme == "https" and parts.scheme != "https"):
            return False
        match = _HOST.fullmatch(host)
        assert match is not None  # the host has been checked
        default = _DEFAULT_PORTS[parts.scheme]
        if (_plain(name), port or default) == (_plain(match[1] or match[2]), int(match[3] or default)):
            return True
        return port is None and _plain(name) in self._names  # a proxy may put its own name for the server in Host


def _plain(name: str) -> str:
    """A host name, normalised for comparison."""
    stripped = name.strip("[]").lower().removesuffix(".")
    address = _address(stripped)
    return stripped if address is None else str(address)


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(name)
    except ValueError:
        return None


def _changes_something(scope: Scope) -> bool:
    """Whether a request has effects. Even by GET, Gradio requests start and stop work, a logout ends a session, and the
    properties of a model load it.
    """
    path = route_of(scope)
    loads = path.startswith("/props") and bool(scope["query_string"])
    return scope["method"] not in _SAFE_METHODS or (
        scope["method"] != "OPTIONS" and (loads or path.startswith(("/gradio_api/", "/logout")))
    )


def _may_use_the_api(scope: Scope) -> bool:
    """Whether another origin may use this route: not moderation, since the browser sends that password by itself."""
    return not route_of(scope).startswith("/moderation")


def _refusal(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": {"message": sentence, "type": "invalid_request_error", "code": status}}, status)
