"""The page's functions as other programs call them: gradio_client, and an MCP client, against a real server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client

from app.settings import Settings
from tests.app.api.conftest import Serving, serve

CODE = "def area(width, height):\n    return "
SUFFIX = "\n\nprint(area(2, 3))\n"


def completed(serving: Serving, **fields: object) -> str:
    body = {"prompt": CODE, "max_tokens": 12, "temperature": 0, **fields}
    text = httpx.post(f"{serving.url}/v1/completions", json=body, timeout=60).json()["choices"][0]["text"]
    assert isinstance(text, str)
    return text


def test_gradio_client_and_mcp_give_what_the_api_gives(store: Path) -> None:
    with serve(Settings(store=store, model="test/tiny", device="cpu")) as serving:
        client = Client(serving.url, verbose=False)
        written = client.predict(CODE, max_new_tokens=12, api_name="/complete_code")
        assert written == completed(serving)
        other = client.predict(CODE, "test/tiny@other", 12, api_name="/complete_code")
        assert other == completed(serving, model="test/tiny@other")
        filled = client.predict(CODE, SUFFIX, max_new_tokens=12, api_name="/fill_in_code")
        assert filled == completed(serving, suffix=SUFFIX)
        with pytest.raises(AppError, match="has no revision 'nope'"):
            client.predict(CODE, "test/tiny@nope", api_name="/complete_code")
        assert asyncio.run(over_mcp(serving.url)) == (written, filled)


async def over_mcp(url: str) -> tuple[str, str]:
    """What the two tools write."""
    async with (
        streamablehttp_client(f"{url}/gradio_api/mcp/") as (reading, writing, _),
        ClientSession(reading, writing) as session,
    ):
        await session.initialize()
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}
        assert "Continue source code" in (tools["complete_code"].description or "")
        assert tools["complete_code"].inputSchema["properties"]["code"]["type"] == "string"
        answers = [
            await session.call_tool("complete_code", {"code": CODE, "max_new_tokens": 12}),
            await session.call_tool("fill_in_code", {"prefix": CODE, "suffix": SUFFIX, "max_new_tokens": 12}),
        ]
        return answers[0].content[0].text, answers[1].content[0].text  # type: ignore[union-attr]
