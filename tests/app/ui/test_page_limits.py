"""Limits of what one visitor of the page can take from others: bytes, queue slots, memory, disk."""

from __future__ import annotations

import gc
import http.client
import json
import socket
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
import httpx
import pytest

from app.server import _prepare_interpreter
from app.settings import Settings
from app.ui.serving.sessions import _MOST_KEPT, Sessions
from tests.app.api.conftest import Serving, serve
from tests.app.page_events import fire

MOST = 64 * 1024
get, post = partial(httpx.get, timeout=60), partial(httpx.post, timeout=60)


@pytest.fixture(scope="module")
def small(store: Path) -> Iterator[Serving]:
    settings = Settings(
        store=store,
        model="test/tiny",
        device="cpu",
        max_request_bytes=MOST,
        max_upload_bytes=2 * MOST,
        streams_per_client=3,
        max_new_tokens=200,
        moderator_key="key",
        allow_training=True,
    )
    with serve(settings) as serving:
        yield serving


@pytest.fixture(scope="module")
def public(store: Path) -> Iterator[Serving]:
    """A server on which visitors cannot train."""
    with serve(Settings(store=store, model="test/tiny", device="cpu", host="0.0.0.0")) as serving:
        yield serving


def post_paths(serving: Serving) -> list[str]:
    """All routes that accept a request body: this project's and Gradio's."""
    own = get(f"{serving.url}/openapi.json").json()["paths"]
    paths = [path for path, methods in own.items() if "post" in methods]
    return [*paths, "/s/abcdefgh/report", "/mcp", "/gradio_api/queue/join", "/gradio_api/call/complete_code",
            "/gradio_api/call/v2/complete_code", "/gradio_api/cancel", "/gradio_api/reset"]  # fmt: skip


@pytest.mark.parametrize("announced", [True, False])
def test_no_request_is_larger_than_allowed(small: Serving, announced: bool) -> None:
    body = json.dumps({"prompt": "x" * MOST}).encode()
    for path in post_paths(small):
        content: Any = body if announced else iter([body[:100], body[100:]])
        answer = post(f"{small.url}{path}", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413, f"{path}: {answer.status_code} {answer.text}"
    within = post(f"{small.url}/tokenize", json={"content": "x" * (MOST - 100)})
    assert within.status_code == 200


def test_a_client_that_goes_while_it_sends_is_no_failure(small: Serving, caplog: pytest.LogCaptureFixture) -> None:
    host, port = urlsplit(small.url).hostname, urlsplit(small.url).port
    for path in ["/v1/completions", "/s/abcdefgh/report", "/gradio_api/queue/join", "/gradio_api/upload"]:
        with socket.create_connection((host, port)) as connection:
            head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5000\r\n"
            head += (
                "Content-Type: multipart/form-data; boundary=b\r\n"
                if "upload" in path
                else ("Content-Type: application/json\r\n")
            )
            connection.sendall(f"{head}\r\n--b\r\n".encode())
            time.sleep(0.1)
    time.sleep(0.2)
    assert get(f"{small.url}/health").status_code == 200
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


def join(serving: Serving, session: str, **body: Any) -> httpx.Response:
    config = get(f"{serving.url}/config").json()
    number = next(each["id"] for each in config["dependencies"] if each["api_name"] == "complete_code")
    data = {"data": ["def f(", "", 100], "fn_index": number, "session_hash": session, **body}
    return post(f"{serving.url}/gradio_api/queue/join", json=data)


def test_one_client_has_few_events_in_the_queue(small: Serving) -> None:
    with small.failing(seconds=0.1):
        answers = [join(small, f"session{number}") for number in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 3 + [429] * 3
        assert "3 events of this page in progress" in answers[-1].json()["detail"]
    small.wait_until_idle()
    deadline = time.monotonic() + 30
    while join(small, "later").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    small.wait_until_idle()


def test_too_many_values_are_refused_before_anything_is_made_of_them(small: Serving) -> None:
    answer = post(f"{small.url}/gradio_api/queue/join", json={"data": [0.5] * 15_000})
    assert answer.status_code == 413 and "more than 10,000 values" in answer.json()["detail"]
    for path in ("/s/abcdefgh/report", "/moderation/abcdefgh/hide", "/mcp"):
        answer = post(f"{small.url}{path}", json={"reason": [{}] * 15_000})
        assert answer.status_code == 413 and "more than 10,000 values" in answer.json()["error"], path


@pytest.mark.parametrize(
    "path,body",
    [
        ("queue/join", b'{"data": [], "fn_index": 99999, "session_hash": "a"}'),
        ("call/nothing", b'{"data": []}'),
        ("call/v2/complete_code", b"{}"),
    ],
)
def test_what_fits_no_function_is_said_in_a_sentence(small: Serving, path: str, body: bytes) -> None:
    answer = post(f"{small.url}/gradio_api/{path}", content=body, headers={"Content-Type": "application/json"})
    assert (
        answer.status_code == 400 and answer.json()["detail"] == "The request does not match any function of this page."
    )


@pytest.mark.parametrize("session", ["", "x" * 65, "\ud800", "é"])
def test_a_session_has_a_short_name(session: str, small: Serving, capfd: pytest.CaptureFixture[str]) -> None:
    """Gradio keeps the name, and logs a traceback for an empty one when its event begins."""
    body = {"data": ["x", "", 1, 0], "session_hash": session}
    for path in ("queue/join", "call/complete_code", "cancel"):
        answer = post(f"{small.url}/gradio_api/{path}", content=json.dumps(body))
        assert answer.status_code == 400 and "1 to 64 ASCII characters" in answer.json()["detail"]
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "method,path",
    [
        ("POST", "/gradio_api/run/complete_code"), ("POST", "/gradio_api/api/complete_code"),
        ("GET", "/gradio_api/deep_link?session_hash=x"), ("GET", "/gradio_api/proxy=https://example.org/"),
        ("GET", "/gradio_api/file=https://example.org/"), ("HEAD", "/gradio_api/file=http://127.0.0.1:1/"),
        ("GET", "/gradio_api/file=HTTPS%3A%2F%2Fexample.org"), ("GET", "/gradio_api/file/https://example.org/"),
        ("POST", "/gradio_api/component_server"), ("POST", "/gradio_api/process_recording"),
        ("POST", "/gradio_api/stream/x"), ("GET", "/monitoring/summary"), ("GET", "/pwa_icon/20000"),
    ],
)  # fmt: skip
def test_what_the_page_has_no_use_for_is_not_there(small: Serving, method: str, path: str) -> None:
    assert httpx.request(method, f"{small.url}{path}", timeout=60).status_code == 404


def test_an_upload_that_is_broken_off_leaves_nothing(small: Serving) -> None:
    (kept,) = post(f"{small.url}/gradio_api/upload", files={"files": b"y"}).json() or [""]
    folder = Path(kept).parents[1]
    address = urlsplit(small.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    connection.putrequest("POST", "/gradio_api/upload")
    connection.putheader("Content-Type", "multipart/form-data; boundary=b")
    connection.putheader("Content-Length", "60000")
    connection.endheaders()
    connection.send(b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n' + bytes(20_000))
    deadline = time.monotonic() + 30
    while not [path for path in folder.iterdir() if path.is_file()]:
        assert time.monotonic() < deadline, "nothing was written"
        time.sleep(0.02)
    connection.close()
    while [path for path in folder.iterdir() if path.is_file()]:
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.02)


def test_the_page_takes_a_file_that_was_uploaded(small: Serving) -> None:
    (kept,) = post(f"{small.url}/gradio_api/upload", files={"files": ("code.zip", b"no archive")}).json()
    file = {"path": kept, "meta": {"_type": "gradio.FileData"}, "orig_name": "code.zip", "size": 10}
    form = [
        "own",
        "",
        file,
        "",
        "A new model, from scratch",
        "nano",
        "final",
        1,
        "mine/ coder",
        "main",
        "test/tiny",
        "main",
        None,
    ]
    told = fire(small.url, "train-start", "click", form)
    assert told["success"] and "mine/ coder" in str(told["output"]["data"][0])  # the name is wrong, the file is not


def test_an_upload_has_few_files(small: Serving) -> None:
    """Gradio creates a file for each part on the event loop."""
    many = post(f"{small.url}/gradio_api/upload", files=[("files", (f"{number}.py", b"x")) for number in range(200)])
    assert many.status_code == 413 and "more than 8 files" in many.json()["error"]
    content = b"filename=--b\r\n--b" * 2_000  # a mark is only what the request says it is
    assert post(f"{small.url}/gradio_api/upload", files={"files": content}).status_code == 200


def test_uploads_are_only_where_something_is_trained(public: Serving, small: Serving) -> None:
    refused = post(f"{public.url}/gradio_api/upload", files={"files": b"x"})
    assert refused.status_code == 404 and "This server does not accept uploads" in refused.json()["error"]
    (kept,) = post(f"{small.url}/gradio_api/upload", files={"files": b"x"}).json()
    assert Path(kept).read_bytes() == b"x"
    folder = Path(kept).parents[1]
    assert post(f"{small.url}/gradio_api/upload", files={"files": bytes(3 * MOST)}).status_code == 413
    statuses = [
        post(f"{small.url}/gradio_api/upload", files={"files": bytes([number]) * MOST}).status_code
        for number in range(9)
    ]
    assert statuses[:3] == [200] * 3 and statuses[-1] == 507
    held = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert held <= 8 * MOST


def test_an_event_loads_no_library_for_plots(small: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradio would import it on the event loop."""
    loaded: list[str] = []
    library = SimpleNamespace(get_backend=lambda: loaded.append("read"), use=lambda backend: loaded.append("switched"))
    monkeypatch.setitem(sys.modules, "matplotlib", library)
    called = post(f"{small.url}/gradio_api/call/complete_code", json={"data": ["x", "", 1, 0]}).json()
    assert "event: complete" in get(f"{small.url}/gradio_api/call/complete_code/{called['event_id']}").text
    assert not loaded


def test_what_is_there_at_the_start_is_not_searched_for_garbage() -> None:
    interval = sys.getswitchinterval()
    gc.unfreeze()
    try:
        _prepare_interpreter()
        assert gc.get_freeze_count() > 100_000 and len(gc.get_objects()) < 10_000
    finally:
        sys.setswitchinterval(interval)


@pytest.fixture
def sessions() -> Sessions:
    with gr.Blocks() as page:
        state = gr.State([])
        gr.Button().click(lambda kept: kept, state, state)
    return Sessions(page.queue())


def test_sessions_that_no_page_holds_are_freed(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    with sessions.held("held"):
        for number in range(100):
            assert sessions[f"left{number}"].state_data == {}
        assert sessions["held"] is sessions["held"]
        sessions.free()
        assert len(sessions.session_data) == _MOST_KEPT + 1 and "left99" in sessions and "left0" not in sessions
        monkeypatch.setattr("app.ui.serving.sessions._SECONDS_KEPT", 0)
        sessions.free()
        assert list(sessions.session_data) == ["held"]
    assert not sessions.session_data and not sessions.time_last_used and not sessions._last_used


def test_a_session_where_something_runs_is_kept(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.ui.serving.sessions._SECONDS_KEPT", 0)
    queue = sessions.blocks._queue
    assert sessions["runs"]
    queue.event_ids_to_events["event"] = SimpleNamespace(session_hash="runs")
    sessions.free()
    assert "runs" in sessions
    del queue.event_ids_to_events["event"]
    queue.pending_event_ids_session["runs"] = {"event"}
    sessions.free()
    assert "runs" not in sessions and not queue.pending_event_ids_session


def test_a_session_is_soon_made_and_keeps_what_is_put_into_it(sessions: Sessions) -> None:
    """It has no descriptions of components, but keeps changed components and states as before."""
    (state,) = [key for key, block in sessions.blocks.blocks.items() if isinstance(block, gr.State)]
    (button,) = [key for key, block in sessions.blocks.blocks.items() if isinstance(block, gr.Button)]
    first, second = sessions["first"], sessions["second"]
    assert not first.config_values
    first[state] = [1]
    first[button] = gr.Button("other", render=False)
    assert first[state] == [1] and second[state] == []
    assert first[button].value == "other" and second[button].value != "other"


@pytest.mark.parametrize("named", ["file", "file, escaped", "address", "stream", "nothing"])
def test_the_page_takes_no_file_that_was_not_uploaded(public: Serving, tmp_path: Path, named: str) -> None:
    """Gradio would copy it to a location that its sender can read, for any component."""
    secret = tmp_path / "secret.txt"
    secret.write_text("of the operator")
    path = {"address": "http://127.0.0.1:1/", "nothing": "\0"}.get(named, str(secret))
    file = {"path": path, "meta": {"_type": "gradio.FileData"}, "is_stream": named == "stream"}
    content = json.dumps({"data": ["python", file], "fn_index": 3, "session_hash": "reader"})
    if named == "file, escaped":
        content = content.replace('"path"', '"\\u0070ath"')
    for route in ("queue/join", "call/complete_code", "call/v2/complete_code"):
        headers = {"Content-Type": "application/json"}
        answer = post(f"{public.url}/gradio_api/{route}", content=content, headers=headers)
        assert answer.status_code == 403, answer.text
        assert "was not uploaded" in answer.json()["error"]
