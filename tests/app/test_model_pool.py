"""Several revisions in memory, within a memory budget."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.model_opening import Stage
from app.model_pool import Models, ServedModel
from app.settings import Settings
from santacoder import checkpoints
from santacoder.checkpoints import CheckpointError
from santacoder.engine.engine import Engine
from santacoder.engine.events import Finished
from santacoder.engine.request import CompletionRequest
from santacoder.engine.runner import memory_needed
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model

BRANCHES = ["a", "b", "c", "d"]


@pytest.fixture(scope="module")
def branch_store(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    store = tmp_path_factory.mktemp("pool")
    for seed, branch in enumerate(BRANCHES):
        checkpoints.publish(random_model(seed), tokenizer, "test/tiny", branch, store=store)
    return store


@pytest.fixture
def models(branch_store: Path) -> Iterator[Models]:
    """Enough memory for two and a half of the four branches."""
    size = memory_needed(random_model().config, 4)
    models = Models(Settings(store=branch_store, model="test/tiny", device="cpu", model_memory=2.5 * size / 1e9))
    yield models
    models.close()


def visit(models: Models, branch: str) -> ServedModel:
    """Load a branch, if it is not loaded, and release it."""
    served = models.acquire("test/tiny", branch)
    served.release()
    return served


def break_down(engine: Engine) -> None:
    """Let every run of the model fail from now on, as a request finds out."""

    def broken(*arguments: object) -> None:
        raise RuntimeError("no such kernel")

    engine.runner.prefill = broken  # type: ignore[method-assign, assignment]
    list(engine.submit(CompletionRequest("x", sampling=SamplingParams(max_new_tokens=1))))


def test_a_revision_is_loaded_once(models: Models) -> None:
    first = visit(models, "a")
    assert visit(models, "a").engine is first.engine
    assert visit(models, first.sha).engine is first.engine
    assert visit(models, "b").engine is not first.engine


def test_the_one_used_longest_ago_goes_first(models: Models) -> None:
    a, b = visit(models, "a"), visit(models, "b")
    visit(models, "a")
    visit(models, "c")
    assert visit(models, "a").engine is a.engine
    assert visit(models, "b").engine is not b.engine


def test_one_in_use_is_kept_and_its_stream_goes_on(models: Models) -> None:
    held = models.acquire("test/tiny", "a")
    sampling = SamplingParams(max_new_tokens=100, temperature=1.0, top_p=1.0, seed=1)
    stream = held.engine.submit(CompletionRequest("x", sampling=sampling))
    for branch in ("b", "c", "d", "b"):
        visit(models, branch)
    last = list(stream)[-1]
    assert isinstance(last, Finished) and last.reason in ("length", "stop")
    held.release()
    assert visit(models, "a").engine is held.engine


def test_what_does_not_fit_beside_those_in_use_is_said(models: Models) -> None:
    held = [models.acquire("test/tiny", branch) for branch in ("a", "b")]
    with pytest.raises(CheckpointError, match=r"The model needs .* GB, but of the .* are in use.*--model-memory"):
        models.acquire("test/tiny", "c")
    held[0].release()
    assert visit(models, "c").engine
    assert visit(models, "b").engine is held[1].engine


def test_a_failed_load_leaves_the_others_and_can_be_tried_again(models: Models, branch_store: Path) -> None:
    a = visit(models, "a")
    weights = checkpoints.resolve("test/tiny", "d", store=branch_store) / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:1000])
    try:
        with pytest.raises(CheckpointError, match="damaged or truncated"):
            models.acquire("test/tiny", "d")
        assert visit(models, "a").engine is a.engine
    finally:
        weights.write_bytes(content)
    assert visit(models, "d").engine


def test_many_who_ask_at_once_get_the_same_engine(models: Models) -> None:
    engines = []
    threads = [threading.Thread(target=lambda: engines.append(visit(models, "a").engine)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(engines) == 8 and len(set(map(id, engines))) == 1


def test_loading_reports_how_far_it_is(models: Models) -> None:
    stages: list[Stage] = []
    models.acquire("test/tiny", "a", stages.append).release()
    assert stages == sorted(stages) and stages[-1] == (1.0, "Loading") and len(stages) > 3
    again: list[Stage] = []
    models.acquire("test/tiny", "a", again.append).release()
    assert again == []


def test_a_config_of_wrong_types_is_a_sentence_and_health_stays_as_it_is(
    branch_store: Path, tmp_path: Path, models: Models
) -> None:
    store = tmp_path / "store"
    shutil.copytree(branch_store, store)
    config = checkpoints.resolve("test/tiny", "b", store=store) / "config.json"
    config.write_text(config.read_text().replace('"layer_norm_epsilon": 1e-05', '"layer_norm_epsilon": "small"'))
    models = Models(Settings(store=store, model="test/tiny", revision="a", device="cpu"))
    visit(models, "a")
    with pytest.raises(CheckpointError, match="layer_norm_epsilon must be a number") as raised:
        visit(models, "b")
    assert str(store) not in str(raised.value)
    assert models.problem() is None
    models.close()


def test_a_model_that_cannot_be_run_is_dropped_where_it_is_not_the_servers_own(branch_store: Path) -> None:
    models = Models(Settings(store=branch_store, model="test/tiny", revision="a", device="cpu"))
    own, other = visit(models, "a"), models.acquire("test/tiny", "b")
    for served in (own, other):
        break_down(served.engine)
    models.mend()
    assert len(models.engines()) == 2  # one is the server's own, and somebody holds the other
    other.release()
    models.mend()
    assert [engine for _, engine in models.engines()] == [own.engine]
    assert (models.problem() or "").count("no such kernel") == 1
    models.close()


def test_a_model_that_cannot_be_run_is_dropped_while_the_servers_own_is_unloaded(branch_store: Path) -> None:
    models = Models(Settings(store=branch_store, model="test/tiny", revision="a", device="cpu"))
    visit(models, "a")
    models.unload_idle(0)
    break_down(visit(models, "b").engine)
    models.mend()
    assert models.engines() == [] and models.problem() is None
    models.close()


def test_the_servers_own_model_is_loaded_again_after_another_was_unloaded(branch_store: Path) -> None:
    models = Models(Settings(store=branch_store, model="test/tiny", revision="a", device="cpu"))
    own = models.acquire("test/tiny", "a")
    visit(models, "b")
    models.unload_idle(0)
    own.engine.close()
    own.release()
    models.mend()
    [(name, engine)] = models.engines()
    assert name == f"test/tiny@{own.sha[:8]}" and engine.alive
    models.close()


def test_what_nobody_uses_is_unloaded_and_loaded_again_on_demand(branch_store: Path) -> None:
    models = Models(Settings(store=branch_store, model="test/tiny", revision="a", device="cpu"))
    held, unused = models.acquire("test/tiny", "a"), visit(models, "b")
    models.unload_idle(3600)
    assert len(models.engines()) == 2
    models.unload_idle(0)
    assert [engine for _, engine in models.engines()] == [held.engine] and not unused.engine.alive
    held.release()
    models.unload_idle(0)
    models.mend()
    assert models.engines() == [] and models.problem() is None
    assert visit(models, "a").engine is not held.engine
    models.close()
