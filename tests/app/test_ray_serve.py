"""Two replicas on a local Ray: page, API and streams through one address; one of them is killed."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(600)]

# has to be known before Ray's own processes begin
os.environ.setdefault("RAY_SERVE_SESSION_ID_HEADER_KEY", "cookie")
# a busy machine takes longer to start them than Ray waits
for name in ("raylet_start_wait_time_s", "worker_register_timeout_seconds", "SERVE_PROXY_READY_CHECK_TIMEOUT_S"):
    os.environ.setdefault(f"RAY_{name}", "300")
N_STREAMS = 8


@pytest.fixture(scope="module")
def url(store: Path) -> Iterator[str]:
    ray = pytest.importorskip("ray")
    serve = pytest.importorskip("ray.serve")
    from app.ray_serve import playground
    from tests.browser.conftest import free_port

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SANTACODER_STORE", str(store))
        environment.setenv("SANTACODER_MODEL", "test/tiny")
        environment.setenv("SANTACODER_DEVICE", "cpu")
        ray.init(num_cpus=4, include_dashboard=False)
        port = free_port()
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        serve.run(playground({"replicas": "2", "cpus": "0.5"}))
        yield f"http://127.0.0.1:{port}"
        serve.shutdown()
        ray.shutdown()


def replicas() -> list[str]:
    """Names of the replicas' actors."""
    import ray

    actors = ray.util.list_named_actors(all_namespaces=True)
    return sorted(actor["name"] for actor in actors if actor["name"].startswith("SERVE_REPLICA::"))


def stream(url: str, endings: list[str]) -> None:
    """Record how a stream of some thousand tokens ends."""
    body = {"prompt": "x", "n": 32, "max_tokens": 120, "temperature": 1.5, "stream": True}
    try:
        with httpx.stream("POST", f"{url}/v1/completions", json=body, timeout=120) as answer:
            endings.append([line for line in answer.iter_lines() if line][-1])
    except httpx.HTTPError as error:
        endings.append(type(error).__name__)


def test_a_page_stays_with_its_replica(url: str) -> None:
    """Gradio's queue is in one replica's memory, and an event and its result are two requests."""
    for _ in range(4):
        with httpx.Client(base_url=url, timeout=60) as browser:
            assert "SantaCoder" in browser.get("/").text and browser.cookies
            event = browser.post("/gradio_api/call/complete_code", json={"data": ["def f(", "", 5, 0]}).json()
            lines = browser.get(f"/gradio_api/call/complete_code/{event['event_id']}").text
            assert "event: complete" in lines


def test_both_answer_alike(url: str) -> None:
    body = {"prompt": "def area(", "max_tokens": 10, "temperature": 0}
    texts = {
        httpx.post(f"{url}/v1/completions", json=body, timeout=60).text.partition('"choices"')[2] for _ in range(8)
    }
    assert len({json.loads('{"choices"' + text)["choices"][0]["text"] for text in texts}) == 1


def test_a_killed_replica_loses_only_its_own_streams(url: str) -> None:
    import ray

    first, second = replicas()
    endings: list[str] = []
    threads = [threading.Thread(target=stream, args=(url, endings)) for _ in range(N_STREAMS)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    ray.kill(ray.get_actor(first, namespace="serve"))
    for thread in threads:
        thread.join()
    finished = sum(ending == "data: [DONE]" for ending in endings)
    assert len(endings) == N_STREAMS and finished > 0
    deadline = time.monotonic() + 120
    while first in replicas() or len(replicas()) < 2:
        assert time.monotonic() < deadline, "no new replica has come"
        time.sleep(1)
    assert second in replicas()
    after: list[str] = []
    for _ in range(4):
        stream(url, after)
    assert after == ["data: [DONE]"] * 4
