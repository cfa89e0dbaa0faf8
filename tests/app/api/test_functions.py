"""The page's functions, called by gradio_client and by a client of the Model Context Protocol."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from app.settings import Settings
from tests.app.api.conftest import Serving, run_apart, serve

BEFORE, AFTER = "def area(width, height):\n    return ", "\n\nprint(area(2, 3))\n"
T = TypeVar("T")


@pytest.fixture(scope="module")
def serving(store: Path) -> Iterator[Serving]:
    with serve(Settings(store=store, model="test/tiny", device="cpu")) as serving:
        yield serving


@pytest.fixture(scope="module")
def client(serving: Serving) -> Iterator[Client]:
    client = Client(serving.url, verbose=False)
    yield client
    client.close()


def completed(serving: Serving, **body: Any) -> str:
    """The result of the API."""
    body = {"prompt": BEFORE, "max_tokens": 12, "temperature": 0, **body}
    return httpx.post(f"{serving.url}/v1/completions", json=body, timeout=60).json()["choices"][0]["text"]


def as_agent(serving: Serving, work: Callable[[ClientSession], Awaitable[T]], **headers: str) -> T:
    """The result of ``work`` in a session like those of agents."""

    async def run() -> T:
        async with (
            httpx.AsyncClient(headers=headers, timeout=60, follow_redirects=True) as http,
            streamable_http_client(f"{serving.url}/mcp", http_client=http) as (reading, writing, _),
            ClientSession(reading, writing) as session,
        ):
            await session.initialize()
            return await work(session)

    return run_apart(run())


async def call(session: ClientSession, tool: str, **arguments: Any) -> tuple[bool, str]:
    """Call a tool; returns whether it failed, and its text."""
    result = await session.call_tool(tool, arguments)
    return result.isError, result.content[0].text  # type: ignore[union-attr]


def told_an_agent(serving: Serving, tool: str, **arguments: Any) -> tuple[bool, str]:
    """Call a tool in a new session; returns whether it failed, and its text."""
    return as_agent(serving, lambda session: call(session, tool, **arguments))


def test_gradio_client_gets_what_the_api_gives(serving: Serving, client: Client) -> None:
    assert client.predict(BEFORE, "", 12, 0, api_name="/complete_code") == completed(serving)
    other = client.predict(BEFORE, revision="test/tiny@other", max_new_tokens=12, api_name="/complete_code")
    assert other == completed(serving, model="test/tiny@other") != completed(serving)
    filled = client.predict(BEFORE, AFTER, max_new_tokens=12, api_name="/fill_in_code")
    assert filled == completed(serving, suffix=AFTER)
    serving.wait_until_idle()


def test_a_value_of_another_type_is_told_by_its_parameter(client: Client) -> None:
    for given in ({"max_new_tokens": 8.5}, {"max_new_tokens": True}):
        with pytest.raises(AppError, match="max_new_tokens must be a whole number"):
            client.predict(BEFORE, api_name="/complete_code", **given)
    with pytest.raises(AppError, match="suffix must be text"):
        client.predict(BEFORE, 5, api_name="/fill_in_code")


def test_agents_get_what_the_api_gives(serving: Serving) -> None:
    async def work(session: ClientSession) -> None:
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}
        assert set(tools) == {"complete_code", "fill_in_code"}
        assert "the code after the gap" in (tools["fill_in_code"].description or "")
        assert tools["fill_in_code"].inputSchema["required"] == ["prefix", "suffix"]
        assert await call(session, "complete_code", code=BEFORE, max_new_tokens=12) == (False, completed(serving))
        nulls = {"revision": None, "temperature": None}
        assert await call(session, "complete_code", code=BEFORE, max_new_tokens=12, **nulls) == (
            False,
            completed(serving),
        )
        wrong = await call(session, "complete_code", code=BEFORE, max_new_tokens="many")
        assert wrong[0] and wrong[1].startswith("max_new_tokens: Input should be a valid integer")
        assert "http" not in wrong[1]
        filled = await call(session, "fill_in_code", prefix=BEFORE, suffix=AFTER, max_new_tokens=12)
        assert filled == (False, completed(serving, suffix=AFTER))

    as_agent(serving, work)
    serving.wait_until_idle()


def test_an_agent_that_leaves_frees_its_slot(serving: Serving) -> None:
    """100 tokens would take 20 seconds."""
    called = {"name": "complete_code", "arguments": {"code": BEFORE, "max_new_tokens": 100}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": called}
    headers = {"Accept": "application/json, text/event-stream"}
    with serving.failing(seconds=0.2):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{serving.url}/mcp", json=body, headers=headers, timeout=1, follow_redirects=True)
        left = time.monotonic()
        serving.wait_until_idle()
        assert time.monotonic() - left < 10


@pytest.mark.parametrize(
    "fields",
    [{}, {"stop_at": "line"}, {"stop_repetition": True}, {"token_healing": False}, {"min_logprob": -1.0}],
    ids=str,
)
def test_where_texts_begin_and_end_is_as_in_the_api(serving: Serving, client: Client, fields: dict[str, Any]) -> None:
    """The prompt ends in a word, and the random model then ends a line and repeats itself."""
    code, differ = "return", []
    for name, sent, body in (
        ("complete_code", {"code": code}, {"prompt": code}),
        ("fill_in_code", {"prefix": code, "suffix": AFTER}, {"prompt": code, "suffix": AFTER}),
    ):
        expected = completed(serving, **body, **fields, max_tokens=48)
        assert client.predict(**sent, **fields, max_new_tokens=48, api_name=f"/{name}") == expected
        assert told_an_agent(serving, name, **sent, **fields, max_new_tokens=48) == (False, expected)
        differ.append(expected != completed(serving, **body, max_tokens=48))
    assert any(differ) or not fields
    serving.wait_until_idle()


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"revision": "some/other"}, "There is no model 'some/other' here. Available models: test/tiny."),
    ({"revision": "test/tiny@nowhere"}, "test/tiny has no revision 'nowhere'"),
    ({"code": ""}, "There is no code to start from"),
    ({"code": "ab\0"}, "NUL character at position 3"),
    ({"max_new_tokens": -1}, "max_new_tokens"),
    ({"temperature": 1e9}, "temperature"),
    ({"stop_at": "paragraph"}, "stop_at"),
    ({"stop_repetition": "perhaps"}, "stop_repetition"),
    ({"min_logprob": 1}, "min_logprob"),
]


@pytest.mark.parametrize("changes,sentence", REFUSED)
def test_refusals_are_sentences(serving: Serving, client: Client, changes: dict[str, Any], sentence: str) -> None:
    arguments = {"code": BEFORE, **changes}
    with pytest.raises(AppError, match=sentence):
        client.predict(**arguments, api_name="/complete_code")
    failed, said = as_agent(serving, lambda session: call(session, "complete_code", **arguments))
    assert failed and sentence in said and "Traceback" not in said


@pytest.mark.slow
def test_the_limits_of_the_api_are_those_of_the_functions(store: Path) -> None:
    settings = Settings(
        store=store, model="test/tiny", device="cpu", api_keys="one,two", max_new_tokens=50, requests_per_minute=8
    )
    with serve(settings) as serving:
        client = Client(serving.url, verbose=False)
        with pytest.raises(AppError, match="asks for up to 60 new tokens in 1 text\\(s\\); the limit is 50"):
            client.predict(BEFORE, max_new_tokens=60, api_name="/complete_code")
        # agents have keys, each of which is a client of its own
        arguments = {"code": BEFORE, "max_new_tokens": 1}
        with pytest.raises(AppError, match="8 requests within a minute"):
            for _ in range(8):
                client.predict(BEFORE, max_new_tokens=1, api_name="/complete_code")
        methods = ["tools/list", "tools/call"] * 5
        assert [asked(serving, method, arguments) for method in methods] == [200] * 8 + [429] * 2


def asked(serving: Serving, method: str, arguments: dict[str, Any]) -> int:
    """The status of one request of an agent."""
    parameters = {"name": "complete_code", "arguments": arguments} if method == "tools/call" else {}
    headers = {"Accept": "application/json, text/event-stream", "Authorization": "Bearer one"}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
    return httpx.post(f"{serving.url}/mcp", json=body, headers=headers, timeout=60).status_code


def test_run_takes_the_pages_values_by_name(serving: Serving, client: Client) -> None:
    """Of those not named, the page's own."""
    given = {"code": BEFORE, "temperature": 0, "max_new_tokens": 12, "stop_at": "none", "stop_repetition": False}
    editor, status, *_ = client.predict(**given, api_name="/complete")
    assert editor["value"] == BEFORE + completed(serving, token_healing=True)
    assert "12 tokens" in status


@pytest.mark.slow
def test_what_the_page_runs_counts_too(store: Path) -> None:
    settings = Settings(store=store, model="test/tiny", device="cpu", requests_per_minute=2)
    with serve(settings) as serving:
        client = Client(serving.url, verbose=False)
        parameters = [5, 0, 1, 0, 1, "", "", "none", False]
        said = [
            client.predict(BEFORE, "python", 1, "psm", "test/tiny", "main", "", *parameters, api_name="/complete")
            for _ in range(3)
        ]
    assert ["2 requests within a minute" in str(each) for each in said] == [False, False, True]


def test_the_seed_of_the_server_is_that_of_its_tools(store: Path) -> None:
    with serve(Settings(store=store, model="test/tiny", device="cpu", seed=7)) as serving:
        client = Client(serving.url, verbose=False)
        texts = {client.predict(BEFORE, "", 12, 1.5, api_name="/complete_code") for _ in range(3)}
        client.close()
    assert len(texts) == 1
