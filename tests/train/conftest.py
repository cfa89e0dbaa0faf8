"""A small folder of source code and the run configuration the training tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from train.config import TrainConfig
from train.data import sources
from train.data.local import LocalExecutor
from train.data.pack import pack
from train.data.pipeline import Pipeline
from train.variants import variant

TINY = TrainConfig(
    n_layer=2,
    n_embd=32,
    n_head=2,
    sequence_length=64,
    batch_size=4,
    steps=12,
    precision="fp32",
    validate_every=5,
    validation_batches=2,
    save_every=3,
)


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's own code, packed."""
    output = tmp_path_factory.mktemp("packed")
    pipeline = Pipeline(sources.folder(REPOSITORY / "santacoder"), output / "work", LocalExecutor())
    pack(pipeline.run(variant("fim"))[-1].shards, output, vocab_size=400)
    return output
