"""Attention in plain operators: the same bits in any company and in any portions."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from export import graph
from export.precisions import PRECISIONS
from santacoder.engine.onnx.runner import OnnxRunner, graph_name
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


def test_so_do_those_of_wide_heads_behind_a_long_past(tmp_path: Path) -> None:
    """The runtime forms sums over more than 128 numbers in parts, whose lengths may depend on the product's shape."""
    model = random_model(n_embd=256, n_head=2, n_layer=2, n_positions=512)
    path, weights = tmp_path / graph_name("int8"), model.state_dict()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph, "_WIDE", 0)
        graph.write_graph(path, model.config, lambda name: weights[name].numpy(), PRECISIONS["int8"])
    runner = OnnxRunner(path, model.config, n_slots=N_SLOTS)
    chance = random.Random(0)
    ids = [chance.randrange(400) for _ in range(440)]
    once, again, then = (logits_of(runner, chance, ids, 400) for _ in range(3))
    assert np.array_equal(once, again) and np.array_equal(once, then)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_numbers_that_are_not_finite_stay_with_their_text(precision: str, tmp_path: Path) -> None:
    """They are left in the cache, behind the next text of the slot, and beside tokens that only fill a step up."""
    model, damaged = random_model(tie_word_embeddings=False), [0, 9]
    weights = model.state_dict()
    weights["transformer.wte.weight"][damaged] = torch.nan
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph, "_WIDE", 0)
        path = tmp_path / graph_name(precision)
        graph.write_graph(path, model.config, lambda name: weights[name].numpy(), PRECISIONS[precision])
    runner, ids = OnnxRunner(path, model.config, n_slots=1), list(range(10, 30))

    def text() -> list[np.ndarray]:
        return [np.array(runner.prefill(0, ids, 0, len(ids))), np.array(runner.decode([Step(0, 5, len(ids))]))]

    before = text()
    assert all(np.isfinite(logits).all() for logits in before)
    assert not np.isfinite(runner.prefill(0, [*ids, *damaged, 8], 0, 1)).any()
    assert all(np.array_equal(*pair) for pair in zip(text(), before, strict=True))
