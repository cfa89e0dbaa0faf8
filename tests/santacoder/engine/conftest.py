"""Both runners for the same model; they must fulfil the same contract."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from export import graph
from export.precisions import PRECISIONS
from santacoder.engine.onnx.runner import OnnxRunner
from santacoder.engine.runner import Runner
from santacoder.engine.torch_runner import TorchRunner
from santacoder.model import SantaCoder
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> SantaCoder:
    return random_model(vocab_size=tokenizer.vocab_size + 50)


@pytest.fixture(scope="module", params=["torch", "onnx", "onnx captured", "onnx wide"])
def make_runner(
    request: pytest.FixtureRequest, model: SantaCoder, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Runner]:
    """``make_runner(n_slots=...)`` for ``model``, in fp32. The parameter ``captured`` selects the steps that a GPU
    captures, and ``wide`` the attention of wide models.
    """
    if request.param == "torch":
        return lambda **options: TorchRunner(model, **options)
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    weights = model.state_dict()
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "onnx wide":
            patch.setattr(graph, "_WIDE", 0)
        graph.write_graph(path, model.config, lambda name: weights[name].numpy(), PRECISIONS["fp32"])
    captures = request.param == "onnx captured"
    return lambda **options: OnnxRunner(path, model.config, captures=captures, **options)
