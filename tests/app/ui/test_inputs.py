"""Events of the page with values of all types: a sentence for the sender, and no log entry."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio.state_holder import StateHolder

from app.settings import Settings
from app.ui.serving.sessions import _MOST_KEPT, Sessions
from tests.app.api.conftest import Serving, serve
from tests.app.page_events import fire

AWKWARD: list[Any] = [
    None, True, 10**400, "\ud800", ["x"], {"a": [1]},
]  # fmt: skip


@pytest.fixture(scope="module")
def serving(store: Path) -> Iterator[Serving]:
    settings = Settings(store=store, model="test/tiny", device="cpu", streams_per_client=0, allow_training=True)
    with serve(settings) as serving:
        yield serving


@pytest.fixture(scope="module")
def http(serving: Serving) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=serving.url, timeout=120) as http:
        yield http


def answers(http: httpx.Client, bodies: list[dict[str, Any]], session: str) -> list[dict[str, Any]]:
    """The last message of each event that was accepted into the queue."""
    events = set()
    for body in bodies:
        headers = {"Content-Type": "application/json"}
        content = json.dumps({"session_hash": session, **body})
        answer = http.post("/gradio_api/queue/join", content=content, headers=headers)
        assert answer.status_code < 500, answer.text
        if answer.status_code == 200:
            events.add(answer.json()["event_id"])
        else:
            assert isinstance(answer.json()["detail"], str), answer.text
    told = []
    with http.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
        for line in stream.iter_lines():
            message = json.loads(line.removeprefix("data: ")) if line else {}
            if message.get("msg") == "process_completed":
                told.append(message)
                events.discard(message["event_id"])
                if not events:
                    return told
    raise AssertionError(f"{len(events)} events were never answered")


@pytest.mark.parametrize("awkward", AWKWARD, ids=lambda value: repr(value)[:12])
def test_values_of_other_types_get_a_sentence(
    http: httpx.Client, awkward: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    config = http.get("/config").json()
    bodies = [
        {"fn_index": each["id"], "data": [awkward] * len(each["inputs"]), "event_data": awkward}
        for each in config["dependencies"]
    ]
    for message in answers(http, bodies, "awkward"):
        error = message["output"].get("error")
        assert message["success"] or (isinstance(error, str) and "Something went wrong" not in error), message
    printed = capfd.readouterr()
    assert "Traceback" not in printed.out + printed.err
    assert [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


@pytest.mark.parametrize("number,said", [(None, "64"), (0, "1"), (9999, "124")])  # in a context of 128 tokens
def test_a_number_that_is_being_typed_is_an_error_of_run_alone(serving: Serving, number: Any, said: str) -> None:
    revision = ["test/tiny", "main", ""]
    told = fire(serving.url, "complete-order", "input", ["x = 1", "auto", *revision, number])
    assert told["success"], told["output"]
    assert f"up to {said} new" in told["output"]["data"][0]
    sampling = [number, 1, 1, 0, 1, "", "", "none", False]
    run = fire(serving.url, "complete-run", "click", ["x = 1", "python", 1, "auto", *revision, *sampling, None, None])
    assert not run["success"] and run["output"]["error"]


@pytest.mark.parametrize(
    "body",
    [
        {"data": "x", "fn_index": 1}, {"data": [], "fn_index": "x"}, {"data": {}, "fn_index": []}, {"data": []},
        {"data": [], "fn_index": 1, "session_hash": 5}, {"data": [], "fn_index": 1, "event_data": {}, "trigger_id": {}},
    ],
)  # fmt: skip
def test_bodies_of_other_types_get_a_sentence(http: httpx.Client, body: dict[str, Any]) -> None:
    for path in ("queue/join", "call/complete_code", "cancel", "reset"):
        answer = http.post(f"/gradio_api/{path}", json=body)
        assert answer.status_code < 500
        if answer.status_code != 200:
            assert isinstance(answer.json()["detail"], str), answer.text


def test_a_session_that_is_not_there_is_said(
    http: httpx.Client, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    told = http.get("/gradio_api/queue/data", params={"session_hash": "nobody"})
    assert '"session_not_found":true' in told.text
    assert "event: error" in http.get("/gradio_api/call/complete_code/nobody").text
    assert isinstance(http.get("/gradio_api/queue/data").json()["detail"], str)
    printed = capfd.readouterr()
    assert "Traceback" not in printed.out + printed.err
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


def test_deep_json_is_refused(http: httpx.Client, capfd: pytest.CaptureFixture[str]) -> None:
    for deep in (b"[" * 5_000, b'{"a":' * 900, b"[" * 500 + b"]" * 500):
        for path in ("/mcp", "/gradio_api/queue/join", "/s/abcdefgh/report", "/v1/completions", "/infill"):
            headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
            answer = http.post(path, content=deep, headers=headers)
            assert 400 <= answer.status_code < 500, f"{path}: {answer.status_code} {answer.text}"
    for path in ("/mcp", "/s/abcdefgh/report", "/v1/completions"):
        body = b'{"prompt":' + b"[" * 5_000 + b"]" * 5_000 + b"}"
        assert "too deep" in http.post(path, content=body, headers=headers).text
    printed = capfd.readouterr()
    assert "Traceback" not in printed.out + printed.err


def test_only_who_has_logged_in_holds_a_page(store: Path) -> None:
    settings = Settings(store=store, model="test/tiny", device="cpu", logins="ada:secret")
    with serve(settings) as serving, httpx.Client(base_url=serving.url, timeout=60) as http:
        with http.stream("GET", "/gradio_api/heartbeat/x") as refused:
            assert refused.status_code == 401
        http.post("/login", data={"username": "ada", "password": "secret"}).raise_for_status()
        with http.stream("GET", "/gradio_api/heartbeat/x") as held:
            assert held.status_code == 200


def test_no_more_is_kept_of_pages_that_are_left_than_allowed(http: httpx.Client, serving: Serving) -> None:
    """In the real server, where Gradio has its own holders of sessions."""
    config = http.get("/config").json()
    number = next(each["id"] for each in config["dependencies"] if each["api_name"] == "complete_code")
    for page in range(_MOST_KEPT + 5):
        answers(http, [{"fn_index": number, "data": ["x", "", 1, 0]}], f"page{page}")
    holders = [
        one for one in gc.get_objects() if isinstance(one, StateHolder) and "page3" in str(list(one.session_data))
    ]
    assert [type(one) for one in holders] == [Sessions] and len(holders[0].session_data) <= _MOST_KEPT + 1
