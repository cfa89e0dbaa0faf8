"""A server with API keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from app.settings import Settings
from tests.app.api.conftest import Serving, serve


@pytest.fixture(scope="module")
def guarded(store: Path) -> Iterator[Serving]:
    with serve(Settings(store=store, model="test/tiny", device="cpu", api_keys="first, second")) as serving:
        yield serving


@pytest.mark.parametrize("key", ["first", "second"])
def test_each_key_opens(guarded: Serving, key: str) -> None:
    client = openai.OpenAI(base_url=f"{guarded.url}/v1", api_key=key)
    assert client.completions.create(model="test/tiny", prompt="x", max_tokens=2).choices
    client.close()
    assert "santacoder_texts_total" in httpx.get(f"{guarded.url}/metrics", headers={"X-Api-Key": key}).text


@pytest.mark.parametrize("key", ["third", "firs", "first,", "é"])
def test_no_other_does(guarded: Serving, key: str) -> None:
    for headers in ({"Authorization": f"Bearer {key}".encode()}, {"X-Api-Key": key.encode()}, {}):
        answer = httpx.post(f"{guarded.url}/v1/completions", json={"prompt": "x"}, headers=headers)
        assert answer.status_code == 401 and "API key" in answer.json()["error"]["message"]
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        for path in ("/api/tags", "/metrics"):
            refused = httpx.get(f"{guarded.url}{path}", headers=headers)
            assert refused.status_code == 401 and "API key" in refused.text
            assert refused.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("method", ["initialize", "tools/list", "tools/call"])
def test_an_agent_needs_a_key(guarded: Serving, method: str) -> None:
    parameters = {"name": "complete_code", "arguments": {"code": "x"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
    accepted = {"Accept": "application/json, text/event-stream"}
    for headers in ({}, {"X-Api-Key": "third"}):
        refused = httpx.post(f"{guarded.url}/mcp", json=body, headers=accepted | headers)
        assert refused.status_code == 401 and refused.headers["WWW-Authenticate"] == "Bearer"
        assert "API key" in refused.json()["error"]["message"] and "Retry-After" not in refused.headers
    if method != "initialize":
        assert httpx.post(f"{guarded.url}/mcp", json=body, headers=accepted | {"X-Api-Key": "first"}).is_success


def test_health_and_the_page_are_open(guarded: Serving) -> None:
    assert httpx.get(f"{guarded.url}/health").json() == {"status": "ok"}
    assert httpx.get(guarded.url).status_code == 200
