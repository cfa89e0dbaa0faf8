"""Operation of the server: metrics, logs, request ids, and a graceful shutdown."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.settings import Settings, parse_settings
from santacoder import checkpoints
from santacoder.tokenizer import Tokenizer
from tests.app.api.conftest import serve
from tests.conftest import random_model
from tests.python_process import ServerProcess

BODY = {"prompt": "def secret_name():", "max_tokens": 5, "temperature": 0}


@contextmanager
def running(store: Path, *options: str, **environment: str) -> Iterator[tuple[str, ServerProcess]]:
    """``python app.py`` and its URL."""
    address = ["--port", "0", "--store", str(store), "--model", "test/tiny"]
    process = ServerProcess(*address, *options, environment=environment, quiet=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()[2].partition("/?")[0], process
    finally:
        process.kill()
        process.communicate()


def figures(url: str) -> dict[tuple[str, ...], float]:
    text = httpx.get(f"{url}/metrics").text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_figures_and_request_ids(store: Path) -> None:
    with serve(Settings(store=store, model="test/tiny", device="cpu")) as serving:
        answer = httpx.post(f"{serving.url}/v1/completions", json=BODY, headers={"X-Request-Id": "my-own-id"})
        assert answer.headers["X-Request-Id"] == "my-own-id"
        for unfit in ("bad id\tof mine", "x" * 65):
            other = httpx.get(f"{serving.url}/v1/models", headers={"X-Request-Id": unfit}).headers["X-Request-Id"]
            assert other != unfit and len(other) == 32
        assert len(httpx.get(serving.url).headers["X-Request-Id"]) == 32
        seen = figures(serving.url)
    usage = answer.json()["usage"]
    assert seen["santacoder_http_requests_total", "/v1/completions", "200"] == 1
    assert seen["santacoder_http_requests_total", "/", "200"] == 1
    assert seen["santacoder_tokens_total", "written"] == usage["completion_tokens"]
    assert seen["santacoder_tokens_total", "read"] == usage["prompt_tokens"]
    assert seen["santacoder_time_to_first_token_seconds_count",] == 1
    (free,) = [value for name, value in seen.items() if name[0] == "santacoder_slots" and name[2] == "free"]
    assert free == serving.engine.runner.n_slots


@pytest.mark.parametrize("asked_for", [False, True])
def test_prompts_are_logged_where_that_was_asked_for(
    store: Path, asked_for: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        serve(Settings(store=store, model="test/tiny", device="cpu", log_prompts=asked_for)) as serving,
        caplog.at_level("DEBUG"),
    ):
        httpx.post(f"{serving.url}/v1/completions", json=BODY)
    written = "".join(repr(vars(record)) for record in caplog.records)
    assert ("secret_name" in written) == asked_for and "test/tiny@main" in written


@pytest.mark.slow
def test_a_stop_lets_requests_finish_and_takes_no_more(store: Path) -> None:
    with running(store, "--log-level", "info") as (url, process):
        body = {**BODY, "n": 32, "max_tokens": 100, "temperature": 1.5, "stream": True}
        with httpx.stream("POST", f"{url}/v1/completions", json=body, timeout=60) as answer:
            lines = answer.iter_lines()
            next(lines)
            process.send_signal(signal.SIGTERM)
            rest = [line for line in lines if line]
        _, log = process.communicate(timeout=60)
    assert process.returncode == 0 and rest[-1] == "data: [DONE]"
    reasons = [json.loads(line[6:])["choices"][0]["finish_reason"] for line in rest[:-1]]
    assert sum(reason is not None for reason in reasons) in (31, 32)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")
    records = [json.loads(line) for line in log.splitlines()]
    mine = [record for record in records if record.get("request_id") == answer.headers["X-Request-Id"]]
    assert [record["message"] for record in mine] == ["completion", "request"]
    assert mine[0]["model"] == "test/tiny@main" and mine[1]["path"] == "/v1/completions" and mine[1]["status"] == 200
    assert "secret_name" not in log


@pytest.mark.slow
def test_a_stop_waits_no_longer_than_it_was_told(store: Path) -> None:
    with running(store, "--drain-seconds", "0", SANTACODER_LOGINS="ada:lovelace") as (url, process):
        body = {**BODY, "n": 32, "max_tokens": 120, "temperature": 1.5, "stream": True}
        with httpx.stream("POST", f"{url}/v1/completions", json=body, timeout=60) as answer:
            lines = answer.iter_lines()
            next(lines)
            process.send_signal(signal.SIGTERM)
            rest = [line for line in lines if line]  # a connection that is cut would raise
            assert rest[-1] == "data: [DONE]" or "being stopped" in json.loads(rest[-1][6:])["error"]["message"]
        _, log = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "the API is open" in log


@pytest.fixture(scope="module")
def long_winded(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    """A store with a model that generates for many seconds."""
    store = tmp_path_factory.mktemp("long-winded")
    checkpoints.publish(random_model(3, n_positions=16_384), tokenizer, "test/tiny", store=store)
    return store


def test_streams_that_a_stop_ends_say_so(long_winded: Path) -> None:
    asked = {
        "/v1/completions": {"prompt": "def a():", "stream": True, "max_tokens": 16_000, "temperature": 0},
        "/completion": {"prompt": "def a():", "stream": True, "n_predict": 16_000, "temperature": 0},
        "/generate_stream": {"inputs": "def a():", "parameters": {"max_new_tokens": 16_000}},
        "/api/generate": {"prompt": "def a():", "options": {"num_predict": 16_000, "temperature": 0}},
    }
    with running(long_winded, "--drain-seconds", "0.3") as (url, process), ExitStack() as stack:
        streams = {}
        for path, body in asked.items():
            asking = httpx.stream("POST", f"{url}{path}", json={"model": "test/tiny", **body}, timeout=60)
            streams[path] = stack.enter_context(asking).iter_lines()
            assert next(streams[path])
        process.send_signal(signal.SIGTERM)
        for path, lines in streams.items():
            last = [line for line in lines if line][-1]  # raises where the connection is cut
            assert "being stopped" in json.dumps(json.loads(last[last.index("{") :])["error"]), path
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_a_login_opens_the_page(store: Path) -> None:
    settings = Settings(store=store, model="test/tiny", device="cpu", logins="ada:lovelace, bob:x")
    with serve(settings) as serving, httpx.Client(base_url=serving.url) as client:
        assert client.get("/config").status_code == 401
        assert client.post("/login", data={"username": "ada", "password": "x"}).status_code == 400
        assert client.post("/login", data={"username": "ada", "password": "lovelace"}).status_code == 200
        assert client.get("/config").status_code == 200


def test_pages_of_other_origins(store: Path) -> None:
    settings = Settings(store=store, model="test/tiny", device="cpu", cors_origins="https://a.example")
    with serve(settings) as serving:
        for origin, allowed in (("https://a.example", "https://a.example"), ("https://b.example", None)):
            answer = httpx.post(f"{serving.url}/v1/completions", json=BODY, headers={"Origin": origin})
            assert answer.headers.get("Access-Control-Allow-Origin") == allowed


@pytest.mark.parametrize(
    "options,environment,sentence",
    [
        (["--max-waiting", "0"], {}, "--max-waiting: Input should be greater than or equal to 1"),
        ([], {"SANTACODER_LOGINS": "ada"}, "SANTACODER_LOGINS: each login must be NAME:PASSWORD"),
        (["--adapters", "mine/lora,~/yours/lora/"], {}, "two adapters are named 'lora'; rename the folder of one"),
        ([], {"SANTACODER_PORT": "x"}, "SANTACODER_PORT: Input should be a valid integer"),
    ],
)
def test_settings_that_cannot_be(
    options: list[str],
    environment: dict[str, str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        parse_settings(options)
    assert sentence in capsys.readouterr().err


def test_an_idle_server_unloads_its_model_and_loads_it_on_demand(store: Path) -> None:
    with running(store, "--idle-unload", "0.01") as (url, _):
        for _ in range(2):
            assert httpx.post(f"{url}/v1/completions", json=BODY, timeout=60).status_code == 200
            while any(name[0] == "santacoder_slots" for name in figures(url)):
                time.sleep(0.05)
            assert httpx.get(f"{url}/health").json() == {"status": "ok"}


def test_below_the_path_of_a_proxy(store: Path) -> None:
    """The proxy strips its path, and the page's addresses contain it."""
    settings = Settings(store=store, model="test/tiny", device="cpu", root_path="/coder")
    with serve(settings) as serving, httpx.Client(base_url=serving.url, timeout=60) as client:
        assert client.post("/v1/completions", json=BODY).status_code == 200
        assert client.get("/config").json()["root"] == f"{serving.url}/coder"
        page = client.get("/").text
        absent = client.get("/s/absent", headers={"Accept": "text/html"})
    assert f"{serving.url}/coder" in page
    assert absent.status_code == 404 and 'href="../"' in absent.text
