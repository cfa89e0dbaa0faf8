"""The memory that a graph keeps after a run."""

from __future__ import annotations

import psutil
import pytest

from app.memory import give_back
from export.graph import write_graph
from export.precisions import PRECISIONS
from santacoder.engine.onnx.runner import OnnxRunner
from tests.conftest import random_model

N_TOKENS = 256
VOCAB_SIZE = 16_384


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> OnnxRunner:
    model = random_model(vocab_size=VOCAB_SIZE, n_positions=2 * N_TOKENS, n_embd=1024, n_layer=1)
    weights = model.state_dict()
    path = tmp_path_factory.mktemp("graph") / "model_int8.onnx"
    write_graph(path, model.config, lambda name: weights[name].numpy(), PRECISIONS["int8"])
    return OnnxRunner(path, model.config)


def test_the_logits_of_a_prompt_take_memory_only_while_they_are_used(runner: OnnxRunner) -> None:
    process = psutil.Process()
    ids = list(range(N_TOKENS))
    runner.prefill(0, ids, 0, 1)
    give_back()
    before = process.memory_info().rss
    logits = runner.prefill(0, ids, 0, N_TOKENS)
    assert logits.nbytes == 4 * N_TOKENS * VOCAB_SIZE
    del logits
    give_back()
    assert process.memory_info().rss - before < N_TOKENS * VOCAB_SIZE
