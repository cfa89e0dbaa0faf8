"""Fair scheduling in the API and on the page: a small request does not wait for another client's many requests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from app.settings import Settings
from tests.app.api.conftest import Serving, serve

MOST_EVENTS = 24  # more than the page runs at a time


@pytest.fixture(scope="module")
def serving(store: Path) -> Iterator[Serving]:
    settings = Settings(
        store=store, model="test/tiny", device="cpu", api_keys="one,two", streams_per_client=MOST_EVENTS
    )
    with serve(settings) as serving:
        yield serving


def client(serving: Serving, key: str) -> httpx.Client:
    return httpx.Client(base_url=serving.url, headers={"Authorization": f"Bearer {key}"}, timeout=60)


def test_a_short_text_is_served_beside_128_long_ones(serving: Serving) -> None:
    long = {"prompt": "x", "max_tokens": 100, "n": 8, "stream": True, "ignore_eos": True, "logit_bias": {"0": -100}}
    with (
        serving.failing(seconds=0.2),
        client(serving, "one") as one,
        client(serving, "two") as two,
        ExitStack() as open_,
    ):
        for _ in range(16):
            open_.enter_context(one.stream("POST", "/v1/completions", json=long))
        assert serving.engine.n_waiting >= 100
        for _ in range(2):
            assert two.post("/v1/completions", json={"prompt": "y", "max_tokens": 2}).status_code == 200
        refused = one.post("/v1/completions", json={"prompt": "x", "max_tokens": 1})
        assert "more than 128 texts in progress" in refused.text, "a long one has ended before"
    serving.wait_until_idle()


def test_an_event_of_the_page_is_served_beside_a_full_line(serving: Serving) -> None:
    def join(who: httpx.Client, n_tokens: int) -> httpx.Response:
        return who.post("/gradio_api/call/complete_code", json={"data": ["def f(", "", n_tokens]})

    with client(serving, "one") as one, client(serving, "two") as two:
        with serving.failing(seconds=0.2):
            events = [join(one, 100).json()["event_id"] for _ in range(MOST_EVENTS)]
            for _ in range(2):
                event = join(two, 1).json()["event_id"]
                assert "event: complete" in two.get(f"/gradio_api/call/complete_code/{event}").text
            assert "events of this page in progress" in join(one, 1).text, "the first of the long ones has ended before"
        assert "event: complete" in one.get(f"/gradio_api/call/complete_code/{events[-1]}").text
    serving.wait_until_idle()
