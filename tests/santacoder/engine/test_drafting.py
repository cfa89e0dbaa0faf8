"""Drafts change how fast the text comes, never the text."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santacoder.engine.drafting import Drafting, lookup
from santacoder.engine.engine import Engine
from santacoder.engine.events import TokenEvent
from santacoder.engine.request import CompletionRequest
from santacoder.engine.runner import Runner
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer


@given(st.lists(st.integers(0, 3), max_size=40), st.integers(1, 7))
def test_a_draft_is_what_followed_the_latest_same_tokens(ids: list[int], longest: int) -> None:
    def by_hand() -> list[int]:
        for size in (4, 3, 2):
            for start in range(len(ids) - size - 1, -1, -1):
                if ids[start : start + size] == ids[-size:]:
                    return ids[start + size : start + size + longest]
        return []

    assert lookup(ids, longest) == by_hand()


class AlwaysDrafting(Drafting):
    """Drafts whenever there is something to look up, and counts what was right."""

    def __init__(self) -> None:
        super().__init__()
        self.right: list[int] = []

    def draft(self, ids: list[int], room: int) -> list[int]:  # type: ignore[override]
        return lookup(ids, min(7, room)) if room > 0 else []

    def report(self, n_right: int) -> None:
        self.right.append(n_right)


class NeverDrafting(Drafting):
    def draft(self, ids: list[int], room: int) -> list[int]:  # type: ignore[override]
        return []


@pytest.fixture(scope="module")
def engines(make_runner: Callable[..., Runner], tokenizer: Tokenizer) -> Iterator[list[Engine]]:
    engines = []
    for drafting in (NeverDrafting(), AlwaysDrafting()):
        engines.append(Engine(make_runner(), tokenizer))
        engines[-1]._drafting = drafting
    yield engines
    for engine in engines:
        engine.close()


@pytest.mark.parametrize(
    "sampling", [{"temperature": 0}, {"temperature": 0.3, "seed": 5}, {"temperature": 1, "seed": 6}]
)
def test_the_text_is_the_same_with_and_without_drafts(engines: list[Engine], sampling: dict) -> None:
    for prompt in ("def f(x):\n    return x\n" * 3, "a = 1\nb = 2\n" * 4, "x"):
        for stop in ((), ("e",)):
            params = SamplingParams(max_new_tokens=60, stop=stop, **sampling)
            texts = [list(engine.submit(CompletionRequest(prompt, sampling=params))) for engine in engines]
            plain, drafted = (
                [(event.id, event.text) if isinstance(event, TokenEvent) else event for event in events]
                for events in texts
            )
            assert plain == drafted
    drafting = engines[1]._drafting
    assert isinstance(drafting, AlwaysDrafting) and drafting.right


def test_drafts_pause_where_checking_costs_more_than_it_brings() -> None:
    drafting = Drafting()
    ids = [1, 2, 3, 4] * 5
    assert drafting.draft(ids, 50) == [], "nothing is known of the cost of a step yet"
    drafting._step_seconds = 1.0
    assert len(drafting.draft(ids, 50)) == 4 or drafting.draft(ids, 50)
    drafting._check_seconds = 4.0
    drafts = 0
    for _ in range(60):
        if drafting.draft(ids, 50):
            drafting.report(0)
            drafts += 1
    assert drafts < 20
