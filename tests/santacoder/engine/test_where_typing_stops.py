"""A trained model continues a text in the same way wherever in it somebody stops typing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.token_healing import agreement, prompts
from santacoder import checkpoints
from santacoder.engine.engine import Engine
from santacoder.engine.loader import open_engine


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = open_engine(checkpoints.resolve("santacoder/nano", "main"), device="cpu", runner="torch").engine
    yield engine
    engine.close()


def test_most_texts_go_on_as_they_would_have(engine: Engine) -> None:
    """Prompts followed by a part of their greedy continuation that ends in white space or inside a word."""
    found = agreement(engine, prompts(16), 3, {"token_healing": True})
    assert found["cases"] >= 40
    assert found["same"] >= 0.9 * found["cases"]
    assert found["empty"] + found["foreign"] <= 0.03 * found["cases"]
