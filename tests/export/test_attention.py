"""Attention in plain operators: the same bits in any company and in any portions."""

from __future__ import annotations

import random

import numpy as np
import pytest

from export import graph
from export.precisions import PRECISIONS
from santacoder.engine.onnx.runner import OnnxRunner
from santacoder.engine.runner import Step
from tests.conftest import random_model

N_SLOTS = 6
LENGTH = 150


@pytest.fixture(scope="module", params=["fp32", "int8"])
def runner(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> OnnxRunner:
    model = random_model(n_positions=256)
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    weights = model.state_dict()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph, "_WIDE", 0)
        graph.write_graph(path, model.config, lambda name: weights[name].numpy(), PRECISIONS[request.param])
    return OnnxRunner(path, model.config, n_slots=N_SLOTS)


def logits_of(runner: OnnxRunner, chance: random.Random, ids: list[int], first: int) -> np.ndarray:
    """The logits after each token from ``first`` on, [T - first, V]: prefilled in random portions, then decoded one by
    one beside random others, or in portions that are verified like drafts."""
    slot, start = chance.randrange(N_SLOTS), 0
    others = [other for other in range(N_SLOTS) if other != slot and chance.random() < 0.6]
    lengths = {other: chance.randint(1, 200) for other in others}
    for other, length in lengths.items():
        runner.prefill(other, [chance.randrange(400) for _ in range(length)], 0, 1)
    while start < first:
        size = chance.randint(1, first - start)
        runner.prefill(slot, ids[start : start + size], start, 1)
        start += size
    rows = []
    while start < len(ids):
        if chance.random() < 0.3:
            size = chance.randint(1, min(8, len(ids) - start))
            rows += list(np.array(runner.prefill(slot, ids[start : start + size], start, size)))
        else:
            size = 1
            steps = [Step(slot, ids[start], start), *(Step(other, 7, lengths[other]) for other in others)]
            chance.shuffle(steps)
            rows.append(np.array(runner.decode(steps)[[step.slot for step in steps].index(slot)]))
        start += size
    return np.stack(rows)


@pytest.mark.parametrize("seed", range(3))
def test_bits_depend_on_the_text_alone(runner: OnnxRunner, seed: int) -> None:
    chance = random.Random(seed)
    ids = [chance.randrange(400) for _ in range(LENGTH)]
    first = chance.randint(2, LENGTH - 30)
    once, again, then = (logits_of(runner, chance, ids, first) for _ in range(3))
    assert np.array_equal(once, again) and np.array_equal(once, then)
