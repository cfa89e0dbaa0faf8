"""Steps that a GPU captures, and graphs for which capturing fails or gives wrong results. No GPU is used: the steps
have the same fixed parameters as captured ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from export.graph import write_graph
from export.precisions import PRECISIONS
from santacoder.engine.onnx.runner import OnnxRunner
from santacoder.engine.onnx.step import aligned
from santacoder.engine.runner import Step
from santacoder.errors import CheckpointError
from santacoder.model import SantaCoder
from tests.conftest import random_model

CAPACITY = 192


@pytest.fixture(scope="module")
def model() -> SantaCoder:
    return random_model()


@pytest.fixture
def graph(model: SantaCoder, tmp_path: Path) -> Path:
    weights = model.state_dict()
    write_graph(tmp_path / "model.onnx", model.config, lambda name: weights[name].numpy(), PRECISIONS["fp32"])
    return tmp_path / "model.onnx"


def add_to_logits(graph: Path, table: np.ndarray) -> None:
    """Make all logits depend on the total length, which is fixed in a captured step: add the entry of ``table`` for the
    length plus the first token's id.
    """
    changed = onnx.load(graph, load_external_data=False)
    changed.graph.node[-1].output[0] = "logits_before"
    constants = {"table": table.astype(np.float32), "zero": np.zeros(1, np.int64), "all": np.full(1, -1, np.int64)}
    changed.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    changed.graph.node.extend(
        [
            helper.make_node("Reshape", ["input_ids", "all"], ["token_ids"]),
            helper.make_node("Gather", ["token_ids", "zero"], ["token_id"]),
            helper.make_node("Cast", ["total_sequence_length"], ["length"], to=TensorProto.INT64),
            helper.make_node("Add", ["length", "token_id"], ["index"]),
            helper.make_node("Gather", ["table", "index"], ["addend"]),
            helper.make_node("Add", ["logits_before", "addend"], ["logits"]),
        ]
    )
    onnx.save(changed, graph)


@torch.no_grad()
def assert_right(runner: OnnxRunner, model: SantaCoder) -> None:
    ids = list(range(10, 30))
    runner.prefill(0, ids[:10], 0, 1)
    for position in range(10, 20):
        expected = model(torch.tensor([ids[: position + 1]]))[0, -1].numpy()
        np.testing.assert_allclose(runner.decode([Step(0, ids[position], position)])[0], expected, atol=1e-4)


@pytest.mark.parametrize("n_slots", [1, 2, 5, 8])
@pytest.mark.parametrize("exact", [True, False])
def test_steps_that_can_be_captured_are_kept(
    graph: Path, model: SantaCoder, n_slots: int, exact: bool, caplog: pytest.LogCaptureFixture
) -> None:
    runner = OnnxRunner(graph, model.config, n_slots=n_slots, captures=True, exact=exact)
    assert_right(runner, model)
    assert runner.captures and not caplog.records


def test_nothing_is_captured_on_a_cpu_unless_asked_for(graph: Path, model: SantaCoder) -> None:
    assert not OnnxRunner(graph, model.config).captures


def test_captures_that_come_out_wrong_are_given_up_at_opening(
    graph: Path, model: SantaCoder, caplog: pytest.LogCaptureFixture
) -> None:
    add_to_logits(graph, np.where(np.arange(600) < CAPACITY, 0, 9))
    runner = OnnxRunner(graph, model.config, captures=True)
    assert not runner.captures
    assert "without CUDA graphs: captured steps come out wrong" in caplog.text
    assert_right(runner, model)


def test_captures_that_fail_are_given_up_at_opening(
    graph: Path, model: SantaCoder, caplog: pytest.LogCaptureFixture
) -> None:
    add_to_logits(graph, np.zeros(CAPACITY))
    runner = OnnxRunner(graph, model.config, captures=True)
    assert not runner.captures and "without CUDA graphs" in caplog.text
    assert_right(runner, model)


def test_steps_that_come_out_wrong_either_way_are_not_served(graph: Path, model: SantaCoder) -> None:
    """Every length adds another value, so decoded tokens differ from prefilled ones."""
    add_to_logits(graph, np.arange(600) * 9.0)
    with pytest.raises(CheckpointError, match="ONNX Runtime gives wrong results"):
        OnnxRunner(graph, model.config, captures=True)


def test_a_capture_that_fails_later_costs_no_step(
    graph: Path, model: SantaCoder, caplog: pytest.LogCaptureFixture
) -> None:
    add_to_logits(graph, np.zeros(CAPACITY + 10))
    runner = OnnxRunner(graph, model.config, captures=True)
    assert runner.captures and not caplog.records
    assert_right(runner, model)
    assert not runner.captures and len(caplog.records) == 1


@pytest.mark.parametrize("n_rows", [1, 2, 3, 6, 8, 13])
def test_aligned_ranges_cover_what_is_asked_for_and_are_few(n_rows: int) -> None:
    ranges = set()
    for first in range(n_rows):
        assert aligned(first, first, n_rows) == (first, 1)
        for last in range(first, n_rows):
            start, count = aligned(first, last, n_rows)
            assert 0 <= start <= first and last < start + count <= n_rows
            ranges.add((start, count))
    assert len(ranges) < 2 * n_rows


def test_aligned_ranges_can_be_kept_even() -> None:
    for first in range(6):
        for last in range(first, 6):
            assert aligned(first, last, 6, least=2) in {(0, 2), (2, 2), (4, 2), (0, 4), (0, 6)}
