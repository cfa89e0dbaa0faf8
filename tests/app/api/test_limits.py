"""Requests beyond a limit are rejected in the protocol's format, with the time after which to retry."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Request

from app.errors import TooOften
from app.limits import Limits, RateLimits
from app.model_opening import ModelOpening
from app.settings import Settings
from santacoder.engine.request import CompletionRequest
from santacoder.sampling import SamplingParams
from tests.app.api.conftest import Serving, serve

# a request of each protocol, and where its error message is
PROTOCOLS: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("/v1/completions", {"prompt": "x", "max_tokens": 100}, ("error", "message")),
    ("/infill", {"input_prefix": "x", "n_predict": 100}, ("error", "message")),
    ("/completion", {"prompt": "x", "n_predict": 100}, ("error", "message")),
    ("/generate", {"inputs": "x", "parameters": {"max_new_tokens": 100}}, ("error",)),
    ("/generate_stream", {"inputs": "x", "parameters": {"max_new_tokens": 100}}, ("error",)),
    ("/api/generate", {"prompt": "x", "options": {"num_predict": 100}}, ("error",)),
]
STREAM = {"prompt": "x", "max_tokens": 100, "stream": True, "logit_bias": {"0": 50}}


def message(answer: httpx.Response | Any, where: tuple[str, ...]) -> str:
    value = answer.json() if isinstance(answer, httpx.Response) else answer
    for name in where:
        value = value[name]
    assert isinstance(value, str)
    return value


@pytest.fixture(scope="module")
def limited(store: Path) -> Iterator[Serving]:
    settings = Settings(
        store=store,
        model="test/tiny",
        device="cpu",
        api_keys="one,two,three",
        streams_per_client=2,
        max_waiting=1,
        max_new_tokens=200,
        max_seconds=1.5,
    )
    with serve(settings) as serving:
        yield serving


def client(serving: Serving, key: str = "one") -> httpx.Client:
    return httpx.Client(base_url=serving.url, headers={"Authorization": f"Bearer {key}"}, timeout=60)


@pytest.mark.parametrize("path,body,where", PROTOCOLS)
def test_a_client_has_few_requests_at_a_time(
    limited: Serving, path: str, body: dict[str, Any], where: tuple[str, ...]
) -> None:
    with limited.failing(seconds=0.1), client(limited) as one, client(limited, "two") as two, ExitStack() as open_:
        for _ in range(2):
            open_.enter_context(one.stream("POST", "/v1/completions", json=STREAM))
        refused = one.post(path, json=body)
        assert refused.status_code == 429 and int(refused.headers["Retry-After"]) >= 1
        assert message(refused, where).startswith("You have 2 requests in progress")
        assert two.post("/v1/completions", json={"prompt": "x", "max_tokens": 1}).status_code == 200
    limited.wait_until_idle()
    with client(limited) as one:
        assert one.post("/v1/completions", json={"prompt": "x", "max_tokens": 1}).status_code == 200


def test_one_client_cannot_fill_the_line_that_all_wait_in(store: Path) -> None:
    """A few requests with many texts each could fill it otherwise."""
    settings = Settings(store=store, model="test/tiny", device="cpu", api_keys="one,two", max_waiting=64)
    with serve(settings) as serving, client(serving) as one, client(serving, "two") as two:
        with serving.failing(seconds=0.1), ExitStack() as open_:
            for _ in range(2):
                open_.enter_context(one.stream("POST", "/v1/completions", json={**STREAM, "n": 16}))
            refused = one.post("/v1/completions", json={"prompt": "x", "max_tokens": 1})
            assert refused.status_code == 429 and "more than 32 texts in progress" in refused.text
            waiting = open_.enter_context(two.stream("POST", "/v1/completions", json=STREAM))
            assert waiting.status_code == 200
        serving.wait_until_idle()
        assert one.post("/v1/completions", json={"prompt": "x", "max_tokens": 1, "n": 32}).status_code == 200


@pytest.mark.parametrize("path,body,where", PROTOCOLS[::2])
def test_a_request_has_little_time(limited: Serving, path: str, body: dict[str, Any], where: tuple[str, ...]) -> None:
    """A text that has begun is ended, as by a token limit."""
    begun = time.monotonic()
    with limited.failing(seconds=0.2), client(limited) as one:
        answer = one.post(path, json=body)
    assert answer.status_code == 200 and time.monotonic() - begun < 15, "100 tokens would take 20 seconds"
    limited.wait_until_idle()


def test_a_text_cut_by_time_says_so(limited: Serving) -> None:
    with limited.failing(seconds=0.2), client(limited) as one:
        body = {**STREAM, "stream": False, "logit_bias": {"5": 50}}
        answer = one.post("/v1/completions", json=body).json()
    assert answer["choices"][0]["finish_reason"] == "length" and answer["usage"]["completion_tokens"] < 100


@pytest.mark.parametrize("path,body,where", PROTOCOLS[::4])
def test_who_had_no_turn_in_time_may_come_back(
    limited: Serving, path: str, body: dict[str, Any], where: tuple[str, ...]
) -> None:
    engine = limited.engine
    endless = CompletionRequest("x", None, SamplingParams(max_new_tokens=100, logit_bias=((5, 100.0),)))
    with limited.failing(seconds=0.2), client(limited) as one:
        others = [engine.submit(endless, lambda event: None, client="one") for _ in range(engine.runner.n_slots)]
        while engine.n_waiting:
            time.sleep(0.01)
        answer = one.post(path, json=body)
        for other in others:
            other.cancel()
    if path == "/generate_stream":  # has begun to answer before
        last = answer.text.strip().split("\n")[-1].removeprefix("data:")
        assert "was still queued after 1.5 s" in message(json.loads(last), where)
    else:
        assert answer.status_code == 503 and answer.headers["Retry-After"]
        assert "was still queued after 1.5 s" in message(answer, where)
    limited.wait_until_idle()


def test_a_request_asks_for_few_new_tokens(limited: Serving) -> None:
    with client(limited) as one:
        refused = one.post("/v1/completions", json={"prompt": "x", "n": 3, "max_tokens": 100})
    assert refused.status_code == 413
    assert "asks for up to 300 new tokens in 3 text(s); the limit is 200" in message(refused, ("error", "message"))


def test_the_waiting_line_is_short(limited: Serving) -> None:
    """Eight run and one waits; ten more are rejected."""
    answers: list[httpx.Response] = []

    def ask(key: str) -> None:
        with client(limited, key) as one:
            body = {"prompt": "x", "n": 5, "max_tokens": 40, "temperature": 1}
            answers.append(one.post("/v1/completions", json=body))

    with limited.failing(seconds=0.05):
        threads = [threading.Thread(target=ask, args=(key,)) for key in ("one", "two", "three") for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(answers) == len(threads) and 0 < len(refused) < len(answers)
    for answer in refused:
        assert answer.status_code == 503 and answer.headers["Retry-After"]
        assert "waiting" in message(answer, ("error", "message"))
    limited.wait_until_idle()


@pytest.mark.parametrize(
    "others,are_same",
    [
        (("2001:db8::1", "2001:db8::ffff:2"), True),
        (("2001:db8::1", "2001:db8:0:1::1"), False),
        (("10.0.0.1", "10.0.0.2"), False),
    ],
)
def test_an_ipv6_client_is_its_network(others: tuple[str, str], are_same: bool) -> None:
    """It owns all addresses in it."""
    limits, rates = Limits(), RateLimits()
    first, second = (Request({"type": "http", "headers": [], "client": (host, 1)}) for host in others)
    assert (limits.client(first) == limits.client(second)) is are_same
    for _ in range(10):
        rates.count("share", others[0])
    with pytest.raises(TooOften) if are_same else nullcontext():
        rates.count("share", others[1])


def as_agent(client: httpx.Client, method: str) -> httpx.Response:
    """One request of the Model Context Protocol."""
    parameters = {"name": "complete_code", "arguments": {"code": "x", "max_new_tokens": 1}}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters if method == "tools/call" else {}}
    headers = {"Accept": "application/json, text/event-stream"}
    return client.post("/mcp", json=body, headers=headers)


def test_requests_come_at_a_rate(store: Path) -> None:
    settings = Settings(store=store, model="test/tiny", device="cpu", requests_per_minute=4)
    with serve(settings) as serving, client(serving) as one:
        statuses = [one.post("/tokenize", json={"content": "x"}).status_code for _ in range(2)]
        statuses += [as_agent(one, method).status_code for method in ("tools/list", "tools/call")]
        statuses += [one.post("/tokenize", json={"content": "x"}).status_code for _ in range(2)]
        assert statuses == [200] * 4 + [429] * 2
        for method in ("tools/list", "tools/call"):
            refused = as_agent(one, method)
            assert refused.status_code == 429 and 1 <= int(refused.headers["Retry-After"]) <= 60
            assert "4 requests within a minute" in message(refused, ("error", "message"))
        for path, body, where in PROTOCOLS:
            refused = one.post(path, json=body)
            assert refused.status_code == 429 and 1 <= int(refused.headers["Retry-After"]) <= 60
            assert "4 requests within a minute" in message(refused, where)
        assert one.get("/health").status_code == 200
        # without API keys, one that a client makes up is no other client
        again = one.post("/tokenize", json={"content": "x"}, headers={"X-Api-Key": "new"})
        assert again.status_code == 429


def test_models_that_are_being_opened_do_not_hold_up_others(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More requests wait for a model than the server has threads for its usual work."""
    opened, opening = threading.Event(), ModelOpening.open

    def slow(self: ModelOpening, *arguments: Any) -> Any:
        opened.wait(60)
        return opening(self, *arguments)

    with serve(Settings(store=store, model="test/tiny", device="cpu")) as serving:
        monkeypatch.setattr(ModelOpening, "open", slow)
        body = {"prompt": "x", "max_tokens": 1}
        ask = partial(httpx.post, f"{serving.url}/v1/completions", timeout=90)
        with ThreadPoolExecutor(50) as pool:
            others = [pool.submit(ask, json={**body, "model": "test/tiny@other"}) for _ in range(50)]
            time.sleep(1)  # until they wait
            try:
                assert ask(json=body, timeout=10).status_code == 200
            finally:
                opened.set()
        assert {other.result().status_code for other in others} == {200}
