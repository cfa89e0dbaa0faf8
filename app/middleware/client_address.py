"""The client's address behind reverse proxies.

A proxy appends the address of its peer at the right of ``X-Forwarded-For``; everything left of that was sent by the
client and may be forged. So the number of one's own proxies determines which address can be trusted.
https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/X-Forwarded-For#security_and_privacy_concerns
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

_FORWARDED_BY = (
    *("forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "fly-client-ip"),
    *("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-forwarded-server"),
)
_IS_LOCAL = "santacoder.is_local"


class ClientAddress:
    """ASGI middleware: sets ``scope["client"]`` and ``scope["scheme"]`` to what the ``proxies`` in front report.

    With 0, no header is trusted.
    """

    def __init__(self, app: ASGIApp, proxies: int) -> None:
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            scope[_IS_LOCAL] = _is_loopback(scope) and not any(name in headers for name in _FORWARDED_BY)
            if self._proxies:
                self._believe(scope, headers)
        await self._app(scope, receive, send)

    def _believe(self, scope: Scope, headers: Headers) -> None:
        hops = [hop.strip() for hop in ",".join(headers.getlist("x-forwarded-for")).split(",")]
        address = _without_port(hops[-self._proxies]) if len(hops) >= self._proxies else ""
        if address:
            scope["client"] = (address, 0)
        # each of several proxies appends to the list or replaces it; the last entry is nearest to the server
        scheme = headers.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
        if scheme in ("http", "https"):
            scope["scheme"] = scheme


def is_local(scope: Scope) -> bool:
    """Whether the request was sent from this machine, not forwarded by a proxy."""
    return bool(scope.get(_IS_LOCAL, False))


@lru_cache(1024)
def network(address: str) -> str:
    """The key by which limits are counted: an address, or for IPv6 its /64, since a client may own all of it."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{parsed.exploded[:19]}::/64"


def _is_loopback(scope: Scope) -> bool:
    client = scope.get("client")
    try:
        return client is not None and ip_address(client[0]).is_loopback
    except ValueError:
        return False


def _without_port(hop: str) -> str:
    """The address of an entry such as ``1.2.3.4``, ``1.2.3.4:5``, ``::1`` or ``[::1]:5``; empty if it has none."""
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    try:
        return str(ip_address(hop))
    except ValueError:
        return ""
