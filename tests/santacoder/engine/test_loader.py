"""The runner that is used if a GPU fails. The tests have no GPU, so failures for that reason are real."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from export.__main__ import main as export
from santacoder import checkpoints
from santacoder.engine import loader
from santacoder.engine.loader import Opened, choose_device, open_engine
from santacoder.engine.onnx.runner import OnnxRunner, graph_name
from santacoder.engine.request import CompletionRequest
from santacoder.errors import CheckpointError
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")

REPO = "test/opening"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    store = tmp_path_factory.mktemp("opening")
    checkpoints.publish(random_model(vocab_size=tokenizer.vocab_size), tokenizer, REPO, store=store)
    assert export([REPO, "--store", str(store), "--precision", "fp32", "fp16"]) == 0
    return store


@pytest.fixture
def full_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's weights do not fit on a GPU."""

    def empty_on_cpu_only(*arguments: object, device: torch.device, **options: object) -> object:
        if device.type == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return empty_like(*arguments, device=device, **options)  # type: ignore[call-overload]

    empty_like = torch.empty_like
    monkeypatch.setattr(torch, "empty_like", empty_on_cpu_only)


def label(opened: Opened) -> tuple[str, str]:
    """Runner and device, after a test request."""
    stream = opened.engine.submit(CompletionRequest("x", sampling=SamplingParams(temperature=0, max_new_tokens=3)))
    assert list(stream)[-1].reason in ("length", "stop")  # type: ignore[union-attr]
    opened.engine.close()
    return opened.engine.runner.name, opened.engine.runner.device


def test_pytorch_is_asked_for_a_gpu_only_where_there_is_a_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(loader, "_GPU_FILES", (str(tmp_path / "driver"),))
    assert choose_device("auto") == "cpu"
    with pytest.raises(CheckpointError, match="--device cuda needs a GPU"):
        choose_device("cuda")
    (tmp_path / "driver").touch()
    assert choose_device("auto") == choose_device("cuda") == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == "cpu"


def test_without_its_libraries_the_gpu_is_a_sentence(store: Path) -> None:
    snapshot = checkpoints.resolve(REPO, store=store)
    with pytest.raises(CheckpointError, match=r"cannot use the GPU here.*CUDA 13 or cuDNN 9 may be missing"):
        OnnxRunner(snapshot / "onnx" / graph_name("fp16"), checkpoints.read_config(snapshot), device="cuda")


def test_a_gpu_that_fails_gives_way_to_the_cpu_with_notices(store: Path, full_gpu: None) -> None:
    opened = open_engine(checkpoints.resolve(REPO, store=store), device="cuda")
    assert label(opened) == ("onnx", "cpu")
    missing, full = opened.notices
    assert "cannot use the GPU here" in missing
    assert "The GPU has too little memory" in full and "served from the CPU" in full


def test_a_chosen_runner_is_kept_where_the_device_is_not(store: Path, full_gpu: None) -> None:
    snapshot = checkpoints.resolve(REPO, store=store)
    opened = open_engine(snapshot, device="cuda", runner="torch")
    assert label(opened) == ("torch", "cpu") and len(opened.notices) == 1
    opened = open_engine(snapshot, device="cuda", runner="onnx")
    assert label(opened) == ("onnx", "cpu") and len(opened.notices) == 1


def test_memory_that_cannot_be_had_is_a_sentence(store: Path) -> None:
    snapshot = checkpoints.resolve(REPO, store=store)
    with pytest.raises(CheckpointError, match="The key/value buffers cannot be allocated on cpu"):
        OnnxRunner(snapshot / "onnx" / graph_name("fp32"), checkpoints.read_config(snapshot), n_slots=10**12)
