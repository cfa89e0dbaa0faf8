"""The Model Context Protocol at /mcp: the functions as tools for agents.

https://modelcontextprotocol.io/specification. Requests are stateless, so any replica can answer them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse
from mcp.server.fastmcp import FastMCP
from mcp.server.fastmcp.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import ContentBlock
from pydantic import ValidationError
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.error_responses import error_headers
from app.api.functions import functions
from app.api.keys import key_check
from app.api.streams import finish
from app.context import Server
from app.errors import ApiError, sentences

_SERVER_ERROR = -32_000  # of JSON-RPC, the first of those that a server defines


class Tools(FastMCP):
    """Tools with the default for arguments that are null, and with sentences as errors."""

    async def call_tool(self, name: str, arguments: dict[str, Any]) -> Sequence[ContentBlock] | dict[str, Any]:
        given = {argument: value for argument, value in arguments.items() if value is not None}
        try:
            return await super().call_tool(name, given)
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                raise ToolError(sentences(error.__cause__.errors())) from error
            raise


def mcp_server(server: Server) -> FastMCP:
    """The server of the tools. Its ``streamable_http_app`` has the route; its ``session_manager`` must be running."""
    mcp = Tools(
        "SantaCoder",
        log_level="WARNING",
        stateless_http=True,
        json_response=True,
        max_request_body_size=server.settings.max_request_bytes,
        # the whole server is protected (app/middleware/host_and_origin.py)
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )

    def caller() -> Request:
        request = mcp.get_context().request_context.request
        assert isinstance(request, Request)
        return request

    for function in functions(server, caller, finish):
        mcp.add_tool(function)
    return mcp


def mcp_routes(mcp: FastMCP, server: Server) -> list[BaseRoute]:
    """The routes of ``mcp``. Whatever a request asks for, it needs a key if the server has any, and counts against the
    rate limit."""
    return [
        Route(route.path, _Guarded(route.app, server)) if isinstance(route, Route) else route
        for route in mcp.streamable_http_app().routes
    ]


class _Guarded:
    """ASGI application: 401 without a key, and 429 if a client has sent too many requests within a minute."""

    def __init__(self, app: ASGIApp, server: Server) -> None:
        self._app = app
        self._check_key = key_check(server.settings.keys)
        self._limits = server.limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        try:
            self._check_key(request)
            self._limits.check_rate(request)
        except ApiError as error:
            told = {"jsonrpc": "2.0", "id": None, "error": {"code": _SERVER_ERROR, "message": str(error)}}
            await JSONResponse(told, error.status, error_headers(error, error.status))(scope, receive, send)
            return
        await self._app(scope, receive, send)
