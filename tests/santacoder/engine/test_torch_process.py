"""PyTorch in a process of its own, compared with PyTorch in this one."""

from __future__ import annotations

import pickle
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from santacoder import checkpoints
from santacoder.engine.runner import RunnerEnded, Step
from santacoder.engine.torch_process import TorchProcess
from santacoder.engine.torch_runner import TorchRunner
from santacoder.engine.torch_worker import bf16_is_faster
from santacoder.errors import CheckpointError
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model

REPO = "test/process"
IDS = list(range(5, 45))


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    store = tmp_path_factory.mktemp("process")
    checkpoints.publish(random_model(vocab_size=tokenizer.vocab_size), tokenizer, REPO, store=store)
    return checkpoints.resolve(REPO, store=store)


@pytest.fixture(scope="module")
def runner(snapshot: Path) -> Iterator[TorchProcess]:
    shares: list[float] = []
    runner = TorchProcess(snapshot, 3, shares.append)
    assert shares == sorted(shares) and shares[-1] == 1
    yield runner
    runner.close()


@pytest.fixture(scope="module")
def reference(snapshot: Path, runner: TorchProcess) -> TorchRunner:
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[runner.precision]
    return TorchRunner(checkpoints.load(snapshot, dtype=dtype)[0], n_slots=3)


def test_it_computes_the_same_numbers(runner: TorchProcess, reference: TorchRunner) -> None:
    assert (runner.n_slots, runner.n_positions) == (reference.n_slots, reference.n_positions)
    for each in (runner, reference):
        each.prefill(0, IDS[:7], 0, 1)
    for start, n_logits in ((7, 1), (8, 8)):
        np.testing.assert_array_equal(
            runner.prefill(0, IDS[start : 2 * start], start, n_logits),
            reference.prefill(0, IDS[start : 2 * start], start, n_logits),
        )
    for each in (runner, reference):
        each.copy(0, 2, 16)
        each.restore(1, each.save(0, 12))
    steps = [Step(2, IDS[16], 16), Step(1, IDS[12], 12)]
    np.testing.assert_array_equal(runner.decode(steps), reference.decode(steps))


def test_a_call_that_fails_is_an_error_and_the_next_one_works(runner: TorchProcess) -> None:
    with pytest.raises(RuntimeError, match=r"\.$"):
        runner.prefill(0, [10**9], 0, 1)
    assert len(runner.prefill(0, [1, 2], 0, 2)) == 2


def test_damaged_weights_are_a_sentence(snapshot: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(snapshot, damaged)
    weights = damaged / "model.safetensors"
    content = weights.read_bytes()
    weights.unlink()
    weights.write_bytes(content[:1000])
    with pytest.raises(CheckpointError, match="model.safetensors"):
        TorchProcess(damaged, 1, lambda share: None)
    assert not [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE]


def test_a_process_that_is_killed_has_ended_and_one_without_a_server_ends(snapshot: Path) -> None:
    runner = TorchProcess(snapshot, 1, lambda share: None)
    runner._process.kill()
    with pytest.raises(RunnerEnded, match="has ended for lack of memory, probably"):
        runner.prefill(0, [1], 0, 1)
    with pytest.raises(RunnerEnded):
        runner.decode([Step(0, 1, 1)])
    runner.close()
    for begun in (b"", pickle.dumps(("save", (0, 1)))[:-3]):
        orphan = TorchProcess(snapshot, 1, lambda share: None)
        assert orphan._process.stdin is not None
        orphan._process.stdin.write(begun)
        orphan._process.stdin.close()  # as when a server ends in any way
        assert orphan._process.wait(20) == 0
        orphan.close()


@pytest.mark.parametrize("slow", [torch.float32, torch.bfloat16])
def test_bf16_is_chosen_where_a_trial_finds_it_faster(slow: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    computed = torch.nn.functional.linear

    def linear(row: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
        if row.dtype == slow:
            time.sleep(0.1)
        return computed(row[:, :64], matrix[:64, :64])  # where bf16 is emulated, a larger product takes as long

    monkeypatch.setattr(torch.nn.functional, "linear", linear)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    assert bf16_is_faster() == (slow == torch.float32)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert not bf16_is_faster()
