"""One prompt on the commits of a branch, and on several revisions concurrently, with real engines."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from app.branch_facts import distinct_weights
from app.generation.compare import side_by_side
from app.generation.records import Generation
from app.generation.replay import Replay, Replays, as_ended
from app.generation.run import generate
from app.generation.task import Failed, Task, Written
from app.model_pool import Models
from app.settings import Settings
from app.ui.branches.replay_view import film
from app.ui.compare.columns import columns
from app.ui.diff import compared_words
from santacoder import checkpoints
from santacoder.checkpoints import Commit
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model

TASK = Task("complete", "python", ("def f(",), SamplingParams(max_new_tokens=6, temperature=0))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    root = tmp_path_factory.mktemp("trained")
    for step in (10, 20, 30):
        checkpoints.publish(
            random_model(step), tokenizer, "test/tiny", step=step, tokens=step, dtype=torch.float32, store=root
        )
    return root


@pytest.fixture
def models(trained: Path) -> Iterator[Models]:
    models = Models(Settings(store=trained, runner="torch", device="cpu"))
    yield models
    models.close()


@pytest.fixture
def commits(trained: Path) -> list[Commit]:
    return distinct_weights(checkpoints.log("test/tiny", store=trained))


def texts(replay: Replay) -> list[str]:
    return [text.code(0) for text in replay.texts if isinstance(text, Generation)]


def test_every_commit_writes_in_its_turn(models: Models, commits: list[Commit]) -> None:
    states = list(Replays(models).replay("test/tiny", [commit.sha for commit in commits], TASK))
    assert states[-1].finished and not any(state.finished for state in states[:-1])
    assert [state.current for state in states] == sorted(state.current for state in states)
    written = texts(states[-1])
    assert len(set(written)) == 3 and all(text.startswith("def f(") for text in written)
    frames = film(commits, states[-1])
    assert frames.count("<article") == 3 and "step 20" in frames and "<mark>" in frames


def test_a_replay_that_is_ended_says_why_where_it_ended(models: Models, commits: list[Commit]) -> None:
    states = list(Replays(models).replay("test/tiny", [commit.sha for commit in commits], TASK))
    waiting = Replay((states[-1].texts[0], None, None), 1, False, "Loading")
    for state in (next(state for state in states if texts(state)), waiting):
        ended = as_ended(state, "It was ended.")
        assert ended.finished and film(commits, ended).count("It was ended.") == 1
        where = film(commits, ended).index("It was ended.")
        assert film(commits, ended)[:where].count("<article") == 1 + state.current
    assert as_ended(states[-1], "It was ended.") == states[-1]


def test_texts_that_stay_are_compared_once(models: Models, commits: list[Commit]) -> None:
    """Each state of a replay shows the texts of all commits before it, too."""
    (*_, last) = Replays(models).replay("test/tiny", [commit.sha for commit in commits], TASK)
    compared_words.cache_clear()
    for _ in range(5):
        film(commits, last)
    assert compared_words.cache_info().misses == len(commits)


def test_what_was_written_is_remembered(models: Models, commits: list[Commit]) -> None:
    replays, shas = Replays(models), [commit.sha for commit in commits]
    (*_, first) = replays.replay("test/tiny", shas, TASK)
    again = list(replays.replay("test/tiny", shas, TASK))
    assert len(again) == 4  # a state for each commit, and the end
    assert again[-1] == first


def test_a_commit_that_cannot_be_loaded_does_not_end_the_replay(models: Models, commits: list[Commit]) -> None:
    shas = [commits[0].sha, "0" * 40, commits[2].sha]
    (*_, last) = Replays(models).replay("test/tiny", shas, TASK)
    assert last.finished and len(texts(last)) == 2
    assert isinstance(last.texts[1], str) and "no revision" in last.texts[1]
    assert "no revision" in film(commits, last)


def test_revisions_write_at_the_same_time_what_each_writes_alone(models: Models, commits: list[Commit]) -> None:
    revisions = [("test/tiny", commit.sha) for commit in commits] + [("test/tiny", "nowhere")]
    (*_, last) = side_by_side(models, revisions, TASK)
    together = [one.generation.code(0) for one in last if isinstance(one, Written) and one.finished]
    (*_, replayed) = Replays(models).replay("test/tiny", [commit.sha for commit in commits], TASK)
    assert together == texts(replayed)
    assert isinstance(last[3], Failed) and "no revision 'nowhere'" in last[3].sentence
    for view in ("differences", "probabilities"):
        shown = columns(last, [sha for _, sha in revisions], view)  # type: ignore[arg-type]
        assert shown.count("<section") == 4 and "tokens/s" in shown and "no revision" in shown
    assert "<mark>" in columns(last[:2], ["a", "b"], "differences")


def test_one_seed_is_drawn_for_all(models: Models, commits: list[Commit]) -> None:
    task = Task("complete", "python", ("def f(",), SamplingParams(max_new_tokens=8, temperature=1))
    (*_, last) = side_by_side(models, [("test/tiny", commits[0].sha), ("test/tiny", "main")], task)
    seeds = {one.generation.candidates[0].completions[0].seed for one in last if isinstance(one, Written)}
    assert len(seeds) == 1


def test_a_comparison_that_is_left_lets_go_of_the_models(models: Models, commits: list[Commit]) -> None:
    task = Task("complete", "python", ("def f(",), SamplingParams(max_new_tokens=100, temperature=0))
    running = side_by_side(models, [("test/tiny", commits[0].sha), ("test/tiny", "main")], task)
    next(running)
    running.close()  # type: ignore[attr-defined]
    served = models.acquire("test/tiny", "main")
    (*_, last) = side_by_side(models, [("test/tiny", "main")], TASK)
    served.release()
    assert isinstance(last[0], Written) and last[0].finished


def test_names_and_texts_are_never_markup(models: Models, commits: list[Commit]) -> None:
    hostile = "<script>alert(1)</script>\"'${1}{{1}}"
    task = Task("complete", "python", (hostile,), SamplingParams(max_new_tokens=4, temperature=0))
    (*_, replay) = Replays(models).replay("test/tiny", [commits[0].sha], task)
    (*_, last) = side_by_side(models, [("test/tiny", commits[0].sha), (hostile, hostile)], task)
    pages = [film(commits[:1], replay), *(columns(last, ["a", hostile], view) for view in ("differences",))]
    for page in pages:
        assert "<script" not in page and "&lt;script&gt;" in page


def test_what_is_remembered_has_a_size(models: Models, commits: list[Commit], monkeypatch: pytest.MonkeyPatch) -> None:
    replays, shas = Replays(models), [commit.sha for commit in commits]
    tuple(replays.replay("test/tiny", shas[:1], TASK))
    n_bytes = replays._n_bytes
    assert n_bytes == len(next(iter(replays._known.values()))[0].to_json())
    monkeypatch.setattr("app.generation.replay._BYTES_REMEMBERED", 2 * n_bytes)
    for length in range(20, 60):
        task = replace(TASK, parts=("def f(" + "x" * length,))
        tuple(replays.replay("test/tiny", shas[:1], task))
        assert replays._n_bytes == sum(size for _, size in replays._known.values()) <= 2 * n_bytes
    assert 1 <= len(replays._known) <= 2


def test_a_stop_needs_no_token(models: Models, commits: list[Commit]) -> None:
    """A queued request can be stopped."""
    served = models.acquire("test/tiny", commits[0].sha)
    engine = served.engine
    free, prefill = threading.Event(), engine.runner.prefill

    def held(*arguments: Any) -> Any:
        free.wait()
        return prefill(*arguments)

    engine.runner.prefill = held  # type: ignore[method-assign]
    progress = generate(models, "test/tiny", commits[0].sha, TASK)
    first = next(step for step in progress if isinstance(step, Written))
    assert not first.finished and first.generation.code(0) == "def f("
    progress.close()  # type: ignore[attr-defined]
    free.set()
    while engine.n_free_slots < engine.runner.n_slots:
        time.sleep(0.01)
    served.release()
