"""The published 1.1 B shape with random weights, in both formats."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.loading import load, write_both_dialects

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def full_size(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_both_dialects(tmp_path_factory.mktemp("full-size"))


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("dialect", ["gpt_bigcode", "gpt2"])
def test_loading_takes_little_more_memory_than_the_model(full_size: dict[str, Path], dialect: str, dtype: str) -> None:
    loaded = load(full_size[dialect], dtype)
    assert loaded["peak"] <= 1.15 * loaded["size"]


def test_both_dialects_are_one_model(full_size: dict[str, Path]) -> None:
    first, second = (load(folder, "float32")["samples"] for folder in full_size.values())
    assert first == second
