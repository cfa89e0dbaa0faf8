"""The route with what the model writes after an example."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.model_pool import Models
from app.settings import Settings
from app.ui.code_pane.example_answers import example_routes
from app.ui.code_pane.example_code import presets
from santacoder import checkpoints
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model

EXAMPLE = next(iter(presets("complete", "python").values()))


@pytest.fixture
def models(tmp_path: Path, tokenizer: Tokenizer) -> Iterator[Models]:
    for seed, branch in enumerate(("main", "other")):
        checkpoints.publish(random_model(seed, n_positions=256), tokenizer, "test/tiny", branch, store=tmp_path)
    models = Models(Settings(store=tmp_path, model="test/tiny", device="cpu"))
    yield models
    models.close()


@pytest.fixture
def client(models: Models) -> TestClient:
    app = FastAPI()
    app.include_router(example_routes(models, models._settings))
    return TestClient(app)


def asked(client: TestClient, **parameters: str) -> Any:
    query = {"model": "test/tiny", "revision": "main", "code": EXAMPLE, **parameters}
    return client.get("/examples/answer", params=query)


def test_an_example_is_answered_once(client: TestClient, models: Models) -> None:
    first = asked(client)
    assert first.status_code == 200 and first.json()["text"].strip()
    sha = models.loaded_commit("test/tiny", "main")
    assert sha and asked(client, revision=sha).json() == asked(client).json() == first.json()
    texts = [line for line in models._metrics.text().decode().splitlines() if line.startswith("santacoder_texts_total")]
    assert sum(float(line.split()[-1]) for line in texts) == 1


def test_other_code_and_other_models_are_not_answered(client: TestClient, models: Models) -> None:
    assert asked(client, code=EXAMPLE + " ").status_code == 204
    assert asked(client, revision="other").status_code == 204
    assert asked(client, revision="nowhere").status_code == 204
    assert asked(client, model="no/such").status_code == 204
    assert models.engines() == []
    models.acquire("test/tiny", "other").release()
    assert asked(client, revision="other").status_code == 200
    assert len(models.engines()) == 1
