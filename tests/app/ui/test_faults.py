"""Unexpected errors: the log has the details, users get a sentence, and nothing waits forever."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest

from app.generation.compare import side_by_side
from app.generation.replay import Replays
from app.generation.run import generate
from app.generation.task import Failed, Task
from app.model_pool import Models
from app.settings import Settings
from app.ui.faults import explain_faults, explained
from santacoder.engine.engine import Engine
from santacoder.errors import CheckpointError, UserError
from santacoder.sampling import SamplingParams
from tests.app.api.conftest import Serving, serve

SECRET = "/srv/secret/place is broken"
TOLD = "Something went wrong on the server; the details are in its log."
TASK = Task("complete", "python", ("x",), SamplingParams(max_new_tokens=3, temperature=0))


@pytest.fixture(scope="module")
def models(store: Path) -> Iterator[Models]:
    models = Models(Settings(store=store, device="cpu"))
    yield models
    models.close()


def break_submit(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def submit(*arguments: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(Engine, "submit", submit)


@pytest.mark.parametrize("error", [RuntimeError(SECRET), ValueError(SECRET), KeyError(SECRET)])
def test_a_fault_ends_each_pane_with_a_sentence(
    models: Models, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    break_submit(monkeypatch, error)
    assert list(generate(models, "test/tiny", "main", TASK))[-1] == Failed(TOLD)
    *_, compared = side_by_side(models, [("test/tiny", "main"), ("test/tiny", "other")], TASK)
    assert compared == [Failed(TOLD), Failed(TOLD)]
    sha = models.acquire("test/tiny", "main").sha
    *_, replayed = Replays(models).replay("test/tiny", [sha], TASK)
    assert replayed.finished and replayed.texts == (TOLD,)
    assert sum(record.exc_info is not None and SECRET in caplog.text for record in caplog.records) == 4


@pytest.mark.parametrize("error", [UserError("Choose another."), CheckpointError("There is none.")])
def test_what_users_can_mend_reaches_them_and_no_log(
    models: Models, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    break_submit(monkeypatch, error)
    assert list(generate(models, "test/tiny", "main", TASK))[-1] == Failed(str(error))
    assert not caplog.records


def plain(error: Exception, text: str) -> str:
    raise error


def generator(error: Exception, text: str) -> Iterator[str]:
    yield text
    raise error


async def coroutine(error: Exception, text: str) -> str:
    raise error


def call(function: Callable[..., Any], *arguments: Any) -> None:
    result = function(*arguments)
    if inspect.iscoroutine(result):
        with ThreadPoolExecutor(1) as pool:  # where no browser's event loop runs
            pool.submit(asyncio.run, result).result()
    elif isinstance(result, Iterator):
        list(result)


@pytest.mark.parametrize("function", [plain, generator, coroutine])
def test_an_event_that_raises_says_nothing_of_the_server(
    function: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    for error, told in [
        (ValueError(SECRET), TOLD),
        (OSError(SECRET), TOLD),
        (UserError("Choose another."), "Choose another."),
        (gr.Error("Too large."), "Too large."),
    ]:
        with pytest.raises(gr.Error) as raised:
            call(explained(function), error, "x")
        assert raised.value.message == told
    assert caplog.text.count("something on the page failed") == 2


def test_every_event_of_the_page_is_explained() -> None:
    with gr.Blocks() as page:
        text = gr.Textbox()
        text.change(lambda value: 1 / 0, text, text)
        text.submit(None, None, None, js="() => {}")
        explain_faults(page)
    functions = [event.fn for event in page.fns.values() if event.fn]
    assert len(functions) == 1
    with pytest.raises(gr.Error, match="Something went wrong on the server"):
        functions[0]("x")


def test_the_api_answers_a_bare_value_error_as_its_own_fault(
    store: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    paths = ["/v1/completions", "/completion", "/api/generate", "/generate"]
    with serve(Settings(store=store, model="test/tiny", device="cpu")) as serving:
        assert statuses(serving, paths, monkeypatch, ValueError(SECRET)) == [500] * 4
        assert caplog.text.count(f"ValueError: {SECRET}") == 4
        caplog.clear()
        assert statuses(serving, paths, monkeypatch, UserError("Choose another.")) == [400] * 4
        assert caplog.records == [record for record in caplog.records if record.levelno < logging.ERROR]


def statuses(serving: Serving, paths: list[str], monkeypatch: pytest.MonkeyPatch, error: Exception) -> list[int]:
    with monkeypatch.context() as patched:
        break_submit(patched, error)
        answers = [
            httpx.post(f"{serving.url}{path}", json={"prompt": "x", "inputs": "x", "stream": False}) for path in paths
        ]
    assert all(SECRET not in answer.text for answer in answers)
    return [answer.status_code for answer in answers]
