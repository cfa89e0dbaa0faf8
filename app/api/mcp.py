"""The Model Context Protocol at /mcp: the functions as tools for agents.

https://modelcontextprotocol.io/specification. Requests are stateless, so any replica can answer them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import Request
from mcp.server.fastmcp import FastMCP
from mcp.server.fastmcp.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import ContentBlock
from pydantic import ValidationError

from app.api.errors import sentences
from app.api.functions import functions
from app.api.keys import key_check
from app.api.running import Server


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
        # the whole server is protected (app/host_and_origin.py)
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    check_key = key_check(server.settings.keys)

    def caller() -> Request:
        request = mcp.get_context().request_context.request
        assert isinstance(request, Request)
        check_key(request)
        return request

    for function in functions(server, caller):
        mcp.add_tool(function)
    return mcp
