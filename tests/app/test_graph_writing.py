"""Models of the Hub on a CPU: PyTorch serves while the graph is written, and the graph takes its place."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import huggingface_hub
import psutil
import pytest
import torch

from app import model_opening
from app.graph_writing import GraphWriting
from app.model_opening import ModelOpening, Stage, results_agree
from app.model_pool import Models, ServedModel
from app.residents import NoRoom
from app.settings import Settings
from export.__main__ import main as export_main
from export.cached import write_cached_graph
from santacoder import checkpoints
from santacoder.checkpoints import graph_cache
from santacoder.engine import loader
from santacoder.engine.events import Finished
from santacoder.engine.loader import open_engine
from santacoder.engine.onnx.runner import graph_name
from santacoder.engine.request import CompletionRequest
from santacoder.engine.runner import memory_needed
from santacoder.errors import CheckpointError
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model

REPO = "org/hub"
WITH_PYTORCH = ("torch, bf16, cpu", "torch, fp32, cpu")
"""Labels of what serves until the graph is there: which one depends on the processor."""


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


def until(happens: Callable[[], bool], seconds: float = 280) -> None:
    last = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < last
        time.sleep(0.05)


def processes_of_pytorch() -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children():
        with suppress(psutil.ZombieProcess, psutil.NoSuchProcess):  # it is ending
            if "santacoder.engine.torch_worker" in child.cmdline():
                found.append(child)
    return found


def label(models: Models) -> str:
    served = models.acquire(REPO, "main")
    served.release()
    return served.runner_label


def test_a_graph_takes_the_place_of_pytorch_between_two_requests(graphs: Path) -> None:
    with serving(graphs) as models:
        first = models.acquire(REPO, "main")
        assert first.runner_label in WITH_PYTORCH and processes_of_pytorch()
        assert "A faster graph (int8) is being written: " in first.notices[0]
        assert text_of(first)
        until(lambda: label(models) == "onnx, int8, cpu")
        assert text_of(first), "a request that began before goes on with its runner"
        assert len(models.engines()) == 2
        first.release()
        until(lambda: not first.engine.alive)
        assert len(models.engines()) == 1 and first.notices == ()
        until(lambda: not processes_of_pytorch())  # although ``first`` still refers to the engine
        served = models.acquire(REPO, "main")
        assert text_of(served)
        served.release()


def test_the_next_start_opens_the_graph(graphs: Path) -> None:
    """Within less memory than PyTorch would take: what counts is the graph's."""
    with serving(graphs) as models:
        until(lambda: label(models) == "onnx, int8, cpu")
    snapshot = checkpoints.resolve(REPO, store=graphs)
    needed = memory_needed(checkpoints.read_config(snapshot), 4)
    with serving(graphs, 0.6 * needed / 1e9) as models:
        assert label(models) == "onnx, int8, cpu"


def test_a_model_that_would_not_fit_with_its_graph_either_is_refused(tmp_path: Path) -> None:
    needed = memory_needed(checkpoints.read_config(checkpoints.resolve(REPO, store=tmp_path)), 4)
    with serving(tmp_path, 0.1 * needed / 1e9) as models, pytest.raises(NoRoom):
        models.acquire(REPO, "main")


def test_graphs_for_browsers_are_written_by_another_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert export_main([REPO, "--precision", "web"]) == 2
    assert "python -m export.site" in capsys.readouterr().err


def write_here(writing: GraphWriting, snapshot: Path, state: Any) -> None:
    """What the process does, without the seconds that its imports take."""

    def report(share: float) -> None:
        state.share = share
        time.sleep(0.2)

    write_cached_graph(snapshot, writing.folder, "int8", 10**9, report)


def test_branches_whose_first_graphs_are_written_wait_for_each_other(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch fits once, and beside it no second graph; both graphs fit. So the second branch waits for its graph."""
    cache = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    for seed, branch in enumerate(("main", "other")):
        model = random_model(seed, n_embd=512, n_layer=1, n_positions=64)
        checkpoints.publish(model, tokenizer, REPO, branch, store=cache, dtype=torch.float32)
    monkeypatch.setattr(GraphWriting, "_run", write_here)
    needed = memory_needed(model.config, 4)
    labels: dict[str, list[str]] = {"main": [], "other": []}
    stages: list[Stage] = []

    def compare(models: Models, branch: str) -> None:
        served = models.acquire(REPO, branch, stages.append)
        labels[branch].append(served.runner_label)
        text_of(served)
        served.release()

    with serving(tmp_path / "graphs", 1.1 * needed / 1e9) as models, ThreadPoolExecutor() as pool:
        first = pool.submit(compare, models, "main")
        first.result()
        held = models.acquire(REPO, "main")  # PyTorch, or already the graph
        second = pool.submit(compare, models, "other")
        time.sleep(0.2)
        text_of(held)
        held.release()
        second.result()
    assert labels["main"][0] in WITH_PYTORCH and labels["other"] == ["onnx, int8, cpu"]
    assert "Writing the int8 graph of" in {stage.doing for stage in stages}


def test_what_pytorch_computes_in_until_then_counts_for_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path / "graphs") as models:
        monkeypatch.setattr(GraphWriting, "_run", write_here)
        first = models.acquire(REPO, "main")
        needed = memory_needed(checkpoints.read_config(checkpoints.resolve(REPO, store=tmp_path)), 4)
        [resident] = models._residents._by_snapshot.values()
        assert resident.n_bytes == (needed if "fp32" in first.runner_label else needed // 2)
        with ThreadPoolExecutor() as pool:  # decoded together
            texts = list(pool.map(text_of, [first] * 3))
        assert len(set(texts)) == 1 and texts[0]
        first.release()
        until(lambda: label(models) == "onnx, int8, cpu")
        served = models.acquire(REPO, "main")
        assert text_of(served) and served.notices == (), "the graph has agreed with PyTorch"
        served.release()


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_process_of_pytorch_that_is_killed_is_started_again(tmp_path: Path) -> None:
    (tmp_path / "file").touch()  # no graph can be written
    with serving(tmp_path / "file" / "folder") as models:
        first = models.acquire(REPO, "main")
        [process] = processes_of_pytorch()
        process.kill()
        [*_, last] = first.engine.submit(CompletionRequest("def f(x):\n"))
        assert isinstance(last, Finished) and "The process that computes with PyTorch has ended" in last.message
        first.release()
        second = models.acquire(REPO, "main")
        assert text_of(second) and processes_of_pytorch() != [process]
        second.release()
    assert not processes_of_pytorch()


@pytest.mark.parametrize("fails", [False, True])
def test_closing_ends_what_is_being_loaded(tmp_path: Path, fails: bool) -> None:
    (tmp_path / "file").touch()
    with serving(tmp_path / "file" / "folder") as models, ThreadPoolExecutor() as threads:
        requests = [threads.submit(models.acquire, REPO, "main") for _ in range(2)]
        until(lambda: bool(processes_of_pytorch()))
        models.close()
        if fails:
            processes_of_pytorch()[0].kill()
        for request in requests:
            assert isinstance(request.exception(), CheckpointError)
    assert not processes_of_pytorch()


def test_pytorch_goes_on_where_no_graph_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with serving(tmp_path / "file" / "folder") as models:
        served = models.acquire(REPO, "main")
        until(lambda: any("The faster graph could not be written: " in notice for notice in served.notices))
        assert text_of(served) and str(tmp_path) not in str(served.notices)
        served.release()
        assert label(models) in WITH_PYTORCH


def test_a_graph_for_a_gpu_is_in_bf16_and_waits_for_a_runtime_that_can_use_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written by the process that a server with a GPU starts; this test needs no GPU, because nothing opens it."""
    monkeypatch.setattr(model_opening, "choose_device", lambda device: "cuda")
    snapshot = checkpoints.resolve(REPO, store=tmp_path)
    opening = ModelOpening(Settings(model=REPO, device="cuda", graphs=tmp_path), lambda sequence: None)
    for providers in (["CPUExecutionProvider"], ["CUDAExecutionProvider", "CPUExecutionProvider"]):
        monkeypatch.setattr("onnxruntime.get_available_providers", lambda: providers)  # noqa: B023
        assert opening.lacks_graph(snapshot) is ("CUDAExecutionProvider" in providers)
    estimated = opening.future_graph_memory(snapshot)
    opening.writing.begin(snapshot, lambda: None)
    opening.writing.wait(snapshot, lambda share: None)
    opening.writing.close()
    [graph] = loader.graphs(snapshot, "cuda", graph_cache.folder_of(snapshot, tmp_path))
    assert graph.name == graph_name("bf16") and not opening.lacks_graph(snapshot)
    assert opening.memory_needed(snapshot) == pytest.approx(estimated, rel=0.05)


def test_a_graph_that_cannot_compute_a_text_does_not_agree(store: Path) -> None:
    snapshot = checkpoints.resolve("test/tiny", store=store)
    good, broken = (open_engine(snapshot, device="cpu", runner="torch", n_slots=1).engine for _ in range(2))

    def fail(*arguments: object) -> None:
        raise RuntimeError("head_size must be a multiple of 8")

    broken.runner.prefill = fail  # type: ignore[assignment]
    assert results_agree(good, good)
    for pair in ((broken, good), (good, broken)):
        with pytest.raises(CheckpointError, match="cannot be compared with PyTorch: .*multiple of 8"):
            results_agree(*pair)
    for engine in (good, broken):
        engine.close()
