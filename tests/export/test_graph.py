"""Graphs compared with the model they are written from, for every supported shape."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from export.graph import write_graph
from export.precisions import PRECISIONS, block_size
from santacoder import pytorch
from santacoder.engine.onnx import session
from santacoder.engine.onnx.runner import OnnxRunner
from santacoder.engine.runner import Step
from santacoder.model import SantaCoder
from tests.conftest import random_model

SHAPES = [
    {},
    {"multi_query": False},
    {"n_head": 1},
    {"gelu_approximate": "none", "n_inner": 96},
    {"tie_word_embeddings": False},
    {"n_layer": 1, "n_embd": 40, "n_head": 5},
]


@torch.no_grad()
def with_biases(model: SantaCoder) -> SantaCoder:
    """Set biases, which are initially 0, so that a missing one is noticed."""
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def write(model: SantaCoder, path: Path, precision: str, report: Callable[[float], None] = lambda share: None) -> None:
    weights = model.state_dict()
    write_graph(path, model.config, lambda name: weights[name].numpy(), PRECISIONS[precision], report)


def export(model: SantaCoder, path: Path, precision: str) -> OnnxRunner:
    write(model, path, precision)
    return OnnxRunner(path, model.config, n_slots=2)


@torch.no_grad()
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_logits_equal_the_models_in_fp32(shape: dict, tmp_path: Path) -> None:
    model = with_biases(random_model(**shape))
    runner = export(model, tmp_path / "model.onnx", "fp32")
    ids = np.random.default_rng(0).integers(0, 512, 50).tolist()
    expected = model(torch.tensor([ids]))[0].numpy()
    np.testing.assert_allclose(runner.prefill(1, ids[:30], 0, 30), expected[:30], atol=2e-4)
    np.testing.assert_allclose(runner.prefill(1, ids[30:], 30, 20), expected[30:], atol=2e-4)
    assert (runner.name, runner.precision, runner.device) == ("onnx", "fp32", "cpu")


@torch.no_grad()
@pytest.mark.parametrize(
    "precision,tolerance", [("fp16", 0.01), ("int8", 0.1), ("int4", 0.6), ("q8f16", 0.1), ("q4f16", 0.6)]
)
@pytest.mark.parametrize("shape", [{}, {"multi_query": False}, {"n_embd": 512, "n_layer": 1}], ids=str)
def test_fewer_bits_come_close(shape: dict, precision: str, tolerance: float, tmp_path: Path) -> None:
    """The error of the logits relative to their spread."""
    model = with_biases(random_model(**shape))
    runner = export(model, tmp_path / f"model_{precision}.onnx", precision)
    ids = np.random.default_rng(0).integers(0, 512, 60).tolist()
    expected = model(torch.tensor([ids]))[0].numpy()
    error = np.sqrt(np.square(runner.prefill(0, ids, 0, 60) - expected).mean()) / expected.std()
    assert error < tolerance
    assert runner.precision == precision


@pytest.mark.parametrize("precision,bits", [("q8f16", 8), ("q4f16", 4)])
def test_weights_for_a_gpu_are_multiplied_in_half_precision_by_its_fast_kernel(
    precision: str, bits: int, tmp_path: Path
) -> None:
    """It has no bias, and blocks of at most 128."""
    write(random_model(n_layer=1, n_embd=1024, n_head=8), tmp_path / "model.onnx", precision)
    graph = onnx.load(tmp_path / "model.onnx", load_external_data=False).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    products = [node for node in graph.node if node.op_type == "MatMulNBits"]
    assert len(products) == 5 and "MatMul" not in {node.op_type for node in graph.node}
    for node in products:
        settings = {attribute.name: attribute.i for attribute in node.attribute}
        assert settings["bits"] == (8 if node is products[-1] else bits) and settings["block_size"] == 128
        assert len(node.input) == 3 and types[node.input[2]] == onnx.TensorProto.FLOAT16


@torch.no_grad()
@pytest.mark.parametrize("tied", [True, False])
def test_small_matrices_in_8_bits_are_multiplied_as_floats(tied: bool, tmp_path: Path) -> None:
    """Only the stored weights are rounded, and a decoded token equals a prefilled one."""
    model = with_biases(random_model(tie_word_embeddings=tied))
    runner = export(model, tmp_path / "model_int8.onnx", "int8")
    for parameter in model.parameters():
        if parameter.dim() == 2:
            # a row is one block, and its largest weight is 128 steps from 0, on the negative side
            step = -torch.gather(parameter, 1, parameter.abs().argmax(dim=1, keepdim=True)) / 128
            parameter.copy_((parameter / step).round().clamp(-128, 127) * step)
    ids = np.random.default_rng(0).integers(0, 512, 50).tolist()
    expected = model(torch.tensor([ids]))[0].numpy()
    np.testing.assert_allclose(runner.prefill(0, ids[:40], 0, 40), expected[:40], atol=2e-4)
    written = [np.array(runner.decode([Step(0, ids[at], at)])[0]) for at in range(40, 50)]
    np.testing.assert_allclose(written, expected[40:], atol=2e-4)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> tuple[SantaCoder, Path]:
    """A model whose matrices are multiplied as integers, row by row, and its graph."""
    model = with_biases(random_model(n_layer=2, n_embd=1024, n_head=8))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(0.2)  # or attention over so many features would take one position or another by rounding
    path = tmp_path_factory.mktemp("wide") / "model_int8.onnx"
    write(model, path, "int8")
    return model, path


@torch.no_grad()
def test_large_matrices_in_8_bits_come_close(wide: tuple[SantaCoder, Path]) -> None:
    model, path = wide
    assert "MatMulIntegerToFloat" in {node.op_type for node in onnx.load(path, load_external_data=False).graph.node}
    ids = np.random.default_rng(0).integers(0, 512, 60).tolist()
    expected = model(torch.tensor([ids]))[0].numpy()
    error = OnnxRunner(path, model.config).prefill(0, ids, 0, 60) - expected
    assert np.sqrt(np.square(error).mean()) / expected.std() < 0.1


def test_a_row_of_integers_does_not_depend_on_its_batch(wide: tuple[SantaCoder, Path]) -> None:
    """It depends neither on other rows nor on how a prompt is divided."""
    model, path = wide
    ids = np.random.default_rng(0).integers(0, 512, 60).tolist()
    alone = OnnxRunner(path, model.config)
    alone.prefill(0, ids[:40], 0, 1)
    together = OnnxRunner(path, model.config)
    for slot in (1, 3):
        together.prefill(slot, ids[slot:30], 0, 1)
    together.prefill(2, ids[:7], 0, 1)
    together.prefill(2, ids[7:40], 7, 1)
    expected = [alone.decode([Step(0, token, 40 + at)])[0].copy() for at, token in enumerate(ids[40:])]
    for at, token in enumerate(ids[40:]):
        others = [Step(slot, 3 + slot, 30 - slot + at) for slot in (1, 3)]
        got = together.decode([others[0], Step(2, token, 40 + at), others[1]])[1]
        np.testing.assert_allclose(got, expected[at], atol=1e-4)


@torch.no_grad()
def test_a_row_of_zeros_stays_one(tmp_path: Path) -> None:
    """Rows are quantised relative to their largest value, which is 0 here."""
    model = random_model(n_layer=1, n_embd=1024, n_head=8)
    model.transformer.h[0].ln_1.weight.zero_()
    write(model, tmp_path / "model_int8.onnx", "int8")
    logits = OnnxRunner(tmp_path / "model_int8.onnx", model.config).prefill(0, [1, 2, 3], 0, 3)
    error = logits - model(torch.tensor([[1, 2, 3]]))[0].numpy()
    assert np.sqrt(np.square(error).mean()) / logits.std() < 0.1


@pytest.mark.parametrize("unsigned", [False, True])
def test_sums_that_would_saturate_are_the_same_on_processors_without_vnni(
    unsigned: bool, wide: tuple[SantaCoder, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Signed weights are converted when the graph is opened; unsigned ones need not be."""
    model, path = wide
    ids = list(range(50))
    expected = OnnxRunner(path, model.config).prefill(0, ids, 0, 50)
    if unsigned:
        path = tmp_path / "model_int8.onnx"
        weights = model.state_dict()
        precision = replace(PRECISIONS["int8"], unsigned=True)
        write_graph(path, model.config, lambda name: weights[name].numpy(), precision)
        monkeypatch.setattr(session, "integers_add_up", lambda: True)  # so that the runtime converts nothing
    else:
        (tmp_path / "cpuinfo").write_text("flags : avx avx2 fma\n")
        monkeypatch.setattr(session, "_LINUX_PROCESSORS", tmp_path / "cpuinfo")
        assert not session.integers_add_up() or platform.machine() != "x86_64"
    np.testing.assert_allclose(OnnxRunner(path, model.config).prefill(0, ids, 0, 50), expected, atol=1e-4)
    stored = {tensor.data_type for tensor in onnx.load(path, load_external_data=False).graph.initializer}
    assert (onnx.TensorProto.INT8 in stored) == (not unsigned)


def test_without_a_word_on_the_processor_weights_are_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows without PyTorch."""
    monkeypatch.setattr(session, "_LINUX_PROCESSORS", tmp_path / "cpuinfo")
    monkeypatch.setattr(platform, "machine", lambda: "AMD64")
    monkeypatch.setattr(pytorch, "is_installed", lambda: False)
    assert not session.integers_add_up()


def test_a_tied_output_layer_is_stored_once_with_the_embedding(tmp_path: Path) -> None:
    sizes = {}
    for tied in (True, False):
        model = random_model(n_layer=1, vocab_size=4096, tie_word_embeddings=tied)
        path = tmp_path / f"{tied}.onnx"
        export(model, path, "int8")
        sizes[tied] = path.with_name(f"{path.name}_data").stat().st_size
    assert sizes[False] - sizes[True] >= 4096 * 64


def test_the_graph_is_valid_and_small_without_its_data(tmp_path: Path) -> None:
    model = random_model()
    for precision in PRECISIONS:
        path = tmp_path / f"model_{precision}.onnx"
        write(model, path, precision)
        onnx.checker.check_model(str(path))
        assert path.stat().st_size < 50_000


def test_progress_goes_up_to_the_whole(tmp_path: Path) -> None:
    shares: list[float] = []
    model = random_model()
    write(model, tmp_path / "m.onnx", "fp32", shares.append)
    assert shares == sorted(shares) and shares[-1] == 1 and len(shares) == model.config.n_layer + 1


def test_blocks_divide_the_rows() -> None:
    for n_in in (16, 40, 48, 64, 96, 256, 1024, 2048):
        for bits in (4, 8):
            size = block_size(n_in, bits)
            assert size is None or n_in % size == 0
    assert block_size(40, 8) is None
    assert (block_size(2048, 4), block_size(256, 4), block_size(384, 8)) == (256, 32, 128)
