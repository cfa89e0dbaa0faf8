"""The repositories that a visitor may use; the Hub is not contacted for any other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.model_pool import Models
from app.repositories import Repositories
from app.settings import Settings
from santacoder.checkpoints import CheckpointError
from santacoder.experiments import PUBLISHED
from tests.app.api.conftest import Serving, serve
from tests.app.page_events import fire
from tests.conftest import write_adapter
from tests.santacoder.local_hub import Client, LocalHub, local_hub

NAMES = ["evil/model", "evil/../../etc", "/etc/passwd", "..", "checkpoints", "", "test/tiny ", "a/b/c", "x" * 300]


@pytest.fixture(scope="module")
def hub() -> Iterator[tuple[LocalHub, Client]]:
    with local_hub() as server:
        client = Client(server)
        yield server, client
        client.close()


@pytest.fixture(scope="module")
def serving(store: Path) -> Iterator[Serving]:
    with serve(Settings(store=store, model="test/tiny", device="cpu")) as serving:
        yield serving


@pytest.mark.parametrize("name", NAMES)
def test_the_page_names_no_other(name: str, serving: Serving, store: Path) -> None:
    with pytest.raises(CheckpointError, match="There is no model"):
        Models(Settings(store=store, model="test/tiny", device="cpu")).acquire(name, "main")
    chosen = fire(serving.url, "model", "input", [name, "test/tiny"])
    assert all(set(update) == {"__type__"} for update in chosen["output"]["data"])  # no branch, no commit
    (lists,) = fire(serving.url, "picker-lists", "click", [name, "main", ""])["output"]["data"]
    assert "There is no model" in lists and 'data-kind="branch"' not in lists


@pytest.mark.parametrize(
    "settings,allowed",
    [
        ({}, True),
        ({"allow_downloads": False}, False),
        ({"host": "0.0.0.0"}, False),
        ({"proxies": 1}, False),
        ({"host": "0.0.0.0", "allow_downloads": True}, True),
    ],
)
def test_the_published_model_is_named_where_it_may_be_fetched(
    settings: dict[str, object], allowed: bool, store: Path
) -> None:
    repositories = Repositories(Settings(store=store, model="test/tiny", **settings))  # type: ignore[arg-type]
    assert (PUBLISHED in repositories.names()) == allowed
    assert {"test/tiny"} <= set(repositories.names()) <= {"test/tiny", PUBLISHED}
    if not allowed:
        with pytest.raises(CheckpointError, match="--allow-downloads"):
            repositories.require(PUBLISHED)


@pytest.mark.parametrize("arguments", ["", ", allow_downloads=True", ", allow_downloads=False"])
def test_the_hub_is_not_asked_for_others(
    arguments: str, hub: tuple[LocalHub, Client], tmp_path: Path, store: Path
) -> None:
    server, client = hub
    server.requests.clear()
    made = f"Repositories(Settings(store=Path({str(store)!r}), model='own/model', revision='main'{arguments}))"
    code = "__import__('app.settings', fromlist=['x']).Settings, __import__('app.repositories', fromlist=['x'])"
    expression = f"(lambda Settings, found: (lambda Repositories: {made})(found.Repositories))({code}).snapshot"
    for repo_id, revision in (("evil/model", "main"), ("test/tiny", "absent")):
        client.call(tmp_path, f"{expression}({repo_id!r}, {revision!r})", offline=False)
    assert server.requests == []
    told = client.call(tmp_path, f"{expression}('own/model', 'other')", offline=False)
    assert isinstance(told, dict) and "sentence" in told
    assert bool(server.requests) == (arguments != ", allow_downloads=False")
    client.call(tmp_path, f"{expression}('own/model', 'main')", offline=False)  # what the server is started with
    assert server.requests


def test_clients_name_the_operators_adapters_alone(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    mine, others = write_adapter(tmp_path / "bees", 1), write_adapter(tmp_path / "others", 2)
    settings = Settings(
        store=store, model="test/tiny", device="cpu", adapters=f"{mine}, org/far", graphs=tmp_path / "graphs"
    )
    body = {"prompt": "def f(x):", "max_tokens": 8, "temperature": 0, "stop_at": "none", "logprobs": 1}
    with serve(settings) as serving:

        def answer(model: str) -> httpx.Response:
            return httpx.post(f"{serving.url}/v1/completions", json={**body, "model": model}, timeout=60)

        with_it, without = answer("test/tiny@main+bees"), answer("test/tiny@main")
        assert with_it.status_code == without.status_code == 200, with_it.text
        assert with_it.json()["choices"][0]["logprobs"] != without.json()["choices"][0]["logprobs"]
        assert answer("test/tiny@other+bees").status_code == 200
        for name in (str(others), "others", "org/near", "", "bees+bees"):
            refused = answer(f"test/tiny@main+{name}")
            assert refused.status_code == 404 and "Available: bees, far." in refused.text, refused.text
        listed = httpx.get(f"{serving.url}/v1/models").json()["data"]
        assert {"test/tiny@main+bees", "test/tiny@main+far"} <= {entry["id"] for entry in listed}
        assert httpx.get(f"{serving.url}/api/tags").status_code == 200
