"""Models of the Hub on a CPU: PyTorch serves while the graph is written, and the graph takes its place."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import huggingface_hub
import pytest
import torch

from app.model_opening import Stage
from app.model_pool import Models, NoRoom, ServedModel
from app.settings import Settings
from santacoder import checkpoints
from santacoder.engine.events import Finished
from santacoder.engine.request import CompletionRequest
from santacoder.engine.torch_runner import memory_needed
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model

REPO = "org/hub"


@pytest.fixture(scope="module")
def downloaded(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    """A Hugging Face cache with a model wide enough that 8 bits take less memory."""
    cache = tmp_path_factory.mktemp("hub")
    model = random_model(n_embd=512, n_layer=1, n_positions=64)
    checkpoints.publish(model, tokenizer, REPO, store=cache, dtype=torch.float32)
    return cache


@pytest.fixture(autouse=True)
def in_cache(downloaded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(downloaded))


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("graphs")


@contextmanager
def serving(graphs: Path, gigabytes: float = 8.0) -> Iterator[Models]:
    settings = Settings(
        store=graphs / "no-store", model=REPO, device="cpu", graphs=graphs, model_memory=gigabytes, idle_unload=0
    )
    models = Models(settings)
    try:
        yield models
    finally:
        models.close()


def text_of(served: ServedModel) -> str:
    sampling = SamplingParams(temperature=0, max_new_tokens=8, token_healing=False)
    events = list(served.engine.submit(CompletionRequest("def f(x):\n", sampling=sampling)))
    assert isinstance(events[-1], Finished) and events[-1].reason != "error", events[-1]
    return "".join(event.text for event in events if not isinstance(event, Finished))


def until(happens: Callable[[], bool], seconds: float = 120) -> None:
    last = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < last
        time.sleep(0.05)


def label(models: Models) -> str:
    served = models.acquire(REPO, "main")
    served.release()
    return served.runner_label


def test_a_graph_takes_the_place_of_pytorch_between_two_requests(graphs: Path) -> None:
    with serving(graphs) as models:
        first = models.acquire(REPO, "main")
        assert first.runner_label == "torch, fp32, cpu"
        assert "A faster graph (int8) is being written: " in first.notices[0]
        assert text_of(first)
        until(lambda: label(models) == "onnx, int8, cpu")
        assert text_of(first), "a request that began before goes on with its runner"
        assert len(models.engines()) == 2
        first.release()
        until(lambda: not first.engine.alive)
        assert len(models.engines()) == 1 and first.notices == ()
        served = models.acquire(REPO, "main")
        assert text_of(served)
        served.release()


def test_the_next_start_opens_the_graph(graphs: Path) -> None:
    """Within less memory than PyTorch would take: what counts is the graph's."""
    snapshot = checkpoints.resolve(REPO, store=graphs)
    needed = memory_needed(checkpoints.read_config(snapshot), torch.float32)
    with serving(graphs, 0.6 * needed / 1e9) as models:
        assert label(models) == "onnx, int8, cpu"


def test_a_request_waits_for_the_graph_where_pytorch_does_not_fit(tmp_path: Path) -> None:
    needed = memory_needed(checkpoints.read_config(checkpoints.resolve(REPO, store=tmp_path)), torch.float32)
    with serving(tmp_path, 0.1 * needed / 1e9) as models, pytest.raises(NoRoom):
        models.acquire(REPO, "main")
    stages: list[Stage] = []
    with serving(tmp_path, 0.6 * needed / 1e9) as models:
        served = models.acquire(REPO, "main", stages.append)
        assert served.runner_label == "onnx, int8, cpu" and served.notices == ()
        served.release()
    assert {stage.doing for stage in stages} == {"Writing the int8 graph of"}


def test_pytorch_goes_on_where_no_graph_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with serving(tmp_path / "file" / "folder") as models:
        served = models.acquire(REPO, "main")
        until(lambda: any("The faster graph could not be written: " in notice for notice in served.notices))
        assert text_of(served) and str(tmp_path) not in str(served.notices)
        served.release()
        assert label(models) == "torch, fp32, cpu"
