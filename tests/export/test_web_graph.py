"""The graph for browsers, compared with the model it is written from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from export.graph import write_graph
from export.precisions import PRECISIONS, block_size
from export.web_runner import WebRunner
from santacoder.engine.runner import Step
from santacoder.model import SantaCoder
from tests.conftest import random_model
from tests.export.test_graph import SHAPES, with_biases


@torch.no_grad()
def rounded(model: SantaCoder) -> SantaCoder:
    """Round the matrices to what the graph stores, so that it should give the model's logits."""
    for parameter in model.parameters():
        size = block_size(parameter.shape[-1], 8) if parameter.dim() == 2 else None
        if size:
            # the largest weight of a block is 128 steps from 0, on the negative side
            blocks = parameter.view(len(parameter), -1, size)
            step = -torch.gather(blocks, 2, blocks.abs().argmax(dim=2, keepdim=True)) / 128
            blocks.copy_((blocks / step).round().clamp(-128, 127) * step)
    return model


def write(model: SantaCoder, path: Path) -> WebRunner:
    weights = model.state_dict()
    write_graph(path, model.config, lambda name: weights[name].numpy(), PRECISIONS["web"])
    return WebRunner(path, model.config)


@torch.no_grad()
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_logits_are_those_of_the_rounded_model(shape: dict, tmp_path: Path) -> None:
    model = rounded(with_biases(random_model(**shape)))
    runner = write(model, tmp_path / "model_web.onnx")
    ids = np.random.default_rng(0).integers(0, 512, 50).tolist()
    expected = model(torch.tensor([ids]))[0].numpy()
    np.testing.assert_allclose(runner.prefill(0, ids[:30], 0, 30), expected[:30], atol=2e-4)
    np.testing.assert_allclose(runner.prefill(0, ids[30:42], 30, 3), expected[39:42], atol=2e-4)
    written = [runner.decode([Step(0, ids[at], at)])[0] for at in range(42, 50)]
    np.testing.assert_allclose(written, expected[42:], atol=2e-4)
    # over what was there
    np.testing.assert_allclose(runner.prefill(0, ids[20:50], 20, 1)[0], expected[-1], atol=2e-4)


def test_weights_take_hardly_more_than_a_byte(tmp_path: Path) -> None:
    model = random_model(n_embd=512, n_layer=1, n_head=8)
    write(model, tmp_path / "model_web.onnx")
    size = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert size < 1.1 * model.config.n_parameters + 40_000  # the graph itself does not depend on the width
