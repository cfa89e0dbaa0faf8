"""With ``exact``, a row of a quantised graph is the same to the last bit alone, in company, and however it was read."""

from __future__ import annotations

import random

import numpy as np
import pytest

from santacoder import checkpoints
from santacoder.engine.engine import Engine
from santacoder.engine.onnx_runner import OnnxRunner
from santacoder.engine.opening import graphs
from santacoder.engine.request import CompletionRequest
from santacoder.engine.runner import Step
from santacoder.sampling import SamplingParams


@pytest.fixture(scope="module")
def runner() -> OnnxRunner:
    snapshot = checkpoints.resolve("santacoder/mini", "main")
    return OnnxRunner(graphs(snapshot, "cpu")[0], checkpoints.read_config(snapshot), exact=True)


@pytest.mark.parametrize("slots", [[0], [7], [0, 1], [0, 1, 2], [2, 5], [3, 4, 5, 6, 7], list(range(8))])
def test_company_and_chunks_change_no_bit(runner: OnnxRunner, slots: list[int]) -> None:
    rng = random.Random(0)
    ids = [rng.randrange(1000) for _ in range(91)]
    runner.read(0, ids, 0, 1)
    expected = np.array(runner.decode([Step(0, 5, 91)])[0])
    for slot in slots:
        cut = rng.randrange(1, 91)
        runner.read(slot, ids[:cut], 0, 1)
        runner.read(slot, ids[cut:], cut, 1)
    for row in runner.decode([Step(slot, 5, 91) for slot in slots]):
        assert np.array_equal(row, expected)


def test_greedy_texts_are_the_same_in_company(runner: OnnxRunner) -> None:
    tokenizer = checkpoints.read_tokenizer(checkpoints.resolve("santacoder/mini", "main"))
    engine = Engine(runner, tokenizer, drafts=False)
    requests = [
        CompletionRequest(f"def f{i}(x):\n    ", None, SamplingParams(temperature=0, max_new_tokens=30))
        for i in range(16)
    ]
    alone = ["".join(event.text for event in engine.submit(request)) for request in requests]
    streams = [engine.submit(request) for request in requests]
    assert ["".join(event.text for event in stream) for stream in streams] == alone
    engine.close()
