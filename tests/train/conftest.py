"""A small folder of source code and the run configuration the training tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from train.config import TrainConfig
from train.data import sources
from train.data.filters import keep_useful
from train.data.pack import pack

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
    loader_workers=0,
    fim_questions=2,
)


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's own code, packed."""
    output = tmp_path_factory.mktemp("packed")
    pack(keep_useful(sources.folder(REPOSITORY / "santacoder")), output, vocab_size=400)
    return output
