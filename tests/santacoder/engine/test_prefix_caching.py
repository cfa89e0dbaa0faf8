"""Prefix caching while typing in an editor: cached tokens are not prefilled again, and the text is unchanged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from santacoder.engine.engine import Engine
from santacoder.engine.events import Event, Finished, TokenEvent
from santacoder.engine.request import CompletionRequest
from santacoder.engine.runner import Runner
from santacoder.engine.slots import common_prefix
from santacoder.fim import FimOrder
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer

GREEDY = SamplingParams(temperature=0, max_new_tokens=4)
TEXT = "def area(width, height):\n    return width * height\n\n\nclass Square:\n"


def count_reading(runner: Runner) -> list[int]:
    """Record the lengths of all prompt chunks that ``runner`` prefills."""
    lengths: list[int] = []
    prefill = runner.prefill

    def counted(slot: int, token_ids: Sequence[int], start: int, n_logits: int) -> np.ndarray:
        if n_logits == 1:
            lengths.append(len(token_ids))
        return prefill(slot, token_ids, start, n_logits)

    runner.prefill = counted  # type: ignore[method-assign]
    return lengths


def ids_of(engine: Engine, request: CompletionRequest) -> list[int]:
    return [event.id for event in engine.submit(request) if isinstance(event, TokenEvent)]


def keystrokes(suffix: str | None, order: FimOrder) -> list[CompletionRequest]:
    return [CompletionRequest(TEXT[:end], suffix, GREEDY, order) for end in range(30, len(TEXT) + 1)]


@pytest.mark.parametrize("suffix,order", [(None, "psm"), ("\n\nprint(Square(2).area())\n", "spm")])
def test_each_keystroke_reads_a_few_tokens(
    make_runner: Callable[..., Runner], tokenizer: Tokenizer, suffix: str | None, order: FimOrder
) -> None:
    runner = make_runner()
    read = count_reading(runner)
    engine = Engine(runner, tokenizer)
    for request in keystrokes(suffix, order):
        ids_of(engine, request)
    engine.close()
    first, *others = read
    assert first > 8
    assert max(others, default=0) <= 8 and sum(others) < 4 * len(TEXT)


@pytest.mark.parametrize("suffix,order", [(None, "psm"), ("\n# end", "psm"), ("\n# end", "spm")])
def test_what_is_written_is_what_a_new_engine_writes(
    make_runner: Callable[..., Runner], tokenizer: Tokenizer, suffix: str | None, order: FimOrder
) -> None:
    engine = Engine(make_runner(), tokenizer)
    for request in keystrokes(suffix, order)[::4]:
        alone = Engine(make_runner(n_slots=1), tokenizer)
        assert ids_of(engine, request) == ids_of(alone, request)
        alone.close()
    engine.close()


@pytest.mark.parametrize("chunk", [256, 8])
def test_many_samples_of_one_prompt_read_it_once(
    make_runner: Callable[..., Runner], tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr("santacoder.engine.engine.PROMPT_CHUNK", chunk)
    runner = make_runner()
    read = count_reading(runner)
    engine = Engine(runner, tokenizer)
    request = CompletionRequest(TEXT, sampling=GREEDY)
    streams = [engine.submit(request) for _ in range(6)]
    texts = [[event.id for event in stream if isinstance(event, TokenEvent)] for stream in streams]
    assert texts == [ids_of(engine, request)] * 6
    engine.close()
    # PyTorch reads the tokens it writes in the same way, one by one
    assert sum(length for length in read if length > 1) <= len(tokenizer.encode(TEXT))


def test_a_request_that_waits_for_a_prompt_holds_up_no_other(
    make_runner: Callable[..., Runner], tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("santacoder.engine.engine.PROMPT_CHUNK", 1)
    engine = Engine(make_runner(), tokenizer)
    ended: list[str] = []
    all_ended = threading.Event()

    def note_end(name: str) -> Callable[[Event], None]:
        def deliver(event: Event) -> None:
            if isinstance(event, Finished):
                ended.append(name)
                if len(ended) == 3:
                    all_ended.set()

        return deliver

    for name, text in (("first", TEXT * 3), ("second", TEXT * 3), ("other", "x = 1")):
        engine.submit(CompletionRequest(text, sampling=GREEDY), note_end(name))
    assert all_ended.wait(60)
    engine.close()
    assert ended == ["other", "first", "second"]


def test_those_that_wait_for_a_prompt_are_compared_once(
    make_runner: Callable[..., Runner], tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many equal waiting prompts cost nothing in the turns in which the first one is prefilled."""
    n_compared = 0

    def counted(first: np.ndarray, second: np.ndarray) -> int:
        nonlocal n_compared
        n_compared += 1
        return common_prefix(first, second)

    monkeypatch.setattr("santacoder.engine.scheduler.common_prefix", counted)
    monkeypatch.setattr("santacoder.engine.slots.common_prefix", counted)
    monkeypatch.setattr("santacoder.engine.engine.PROMPT_CHUNK", 1)  # a turn for every token
    runner = make_runner()
    engine = Engine(runner, tokenizer)
    n_requests = 40
    streams = [engine.submit(CompletionRequest(TEXT, sampling=GREEDY)) for _ in range(n_requests)]
    assert [len(list(stream)) for stream in streams] == [5] * n_requests
    engine.close()
    # once with the one that is read and with every slot, and once more when it has been read
    assert n_compared <= 4 * n_requests * (runner.n_slots + 1)
