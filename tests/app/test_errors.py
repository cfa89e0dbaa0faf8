"""Messages for users contain file names, but no paths on the server."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from app.errors import sentence_for, without_paths
from app.settings import Settings
from santacoder import checkpoints
from santacoder.errors import CheckpointError
from santacoder.tokenizer import Tokenizer
from tests.app.api.conftest import serve
from tests.conftest import random_model


def test_a_path_is_shown_as_the_name_of_its_file(tmp_path: Path) -> None:
    config = tmp_path / "models--a--b" / "config.json"
    assert sentence_for(CheckpointError(f"{config} cannot be used: x.")) == "config.json cannot be used: x."
    assert (
        without_paths(f"'{config}', ({config}), in {tmp_path}.") == f"'config.json', (config.json), in {tmp_path.name}."
    )
    for kept in (
        "POST /v1/completions",
        "santacoder/nano@main",
        "https://a.example/usr/b",
        "1/2",
        "a / b",
        "and/or/not",
        f"/{'a' * 300}/b",
    ):
        assert without_paths(kept) == kept
    assert len(without_paths("/tmp/a " * 1_000_000)) < 5000


@pytest.mark.parametrize("damage", ["config.json", "tokenizer.json", "model.safetensors"])
def test_no_path_of_the_server_is_told(damage: str, tmp_path: Path, tokenizer: Tokenizer) -> None:
    for name in ("test/tiny", "test/damaged"):
        checkpoints.publish(random_model(1), tokenizer, name, store=tmp_path)
    (checkpoints.resolve("test/damaged", store=tmp_path) / damage).write_bytes(b"{")
    asked = [
        ("/v1/completions", {"model": "test/damaged", "prompt": "x"}),
        ("/v1/completions", {"model": "test/tiny@absent", "prompt": "x"}),
        ("/api/generate", {"model": "test/damaged", "prompt": "x"}),
        ("/tokenize", {"model": "test/damaged", "content": "x"}),
    ]
    with serve(Settings(store=tmp_path, model="test/tiny", device="cpu")) as serving:
        for path, body in asked:
            answer = httpx.post(f"{serving.url}{path}", json=body)
            assert answer.status_code == 404 and str(tmp_path) not in answer.text and "/tmp" not in answer.text
