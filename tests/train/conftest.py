"""A small folder of source code, and the configuration of runs that the training tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from santacoder.tokenizer import Tokenizer
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
    loader_workers=0,
    fim_questions=2,
)


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's own code, packed."""
    return pack_own_code(tmp_path_factory.mktemp("packed"), vocab_size=400)


def pack_own_code(output: Path, *, vocab_size: int = 0, tokenizer: Tokenizer | None = None) -> Path:
    """Pack the project's own code into ``output``."""
    pipeline = Pipeline(sources.folder(REPOSITORY / "santacoder"), output / "work", LocalExecutor())
    pack(pipeline.run(variant("fim"))[-1].shards, output, vocab_size=vocab_size, tokenizer=tokenizer)
    return output
