"""Prompt lookup changes only the speed, never the text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santacoder.engine.engine import Engine
from santacoder.engine.events import TokenEvent
from santacoder.engine.prompt_lookup import LONGEST, Drafting, lookup
from santacoder.engine.request import CompletionRequest
from santacoder.engine.runner import Logits, Runner
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer


@given(st.lists(st.integers(0, 3), max_size=40), st.integers(1, 7))
def test_a_draft_is_what_followed_the_latest_same_tokens(ids: list[int], longest: int) -> None:
    def by_hand() -> list[int]:
        for size in (4, 3, 2):
            for start in range(len(ids) - size - 1, -1, -1):
                if ids[start : start + size] == ids[-size:]:
                    written = list(ids)
                    for offset in range(longest):
                        written.append(written[start + size + offset])
                    return written[len(ids) :]
        return []

    assert lookup(ids, longest) == by_hand()


@pytest.fixture(scope="module")
def checked() -> list[int]:
    """The number of tokens in each verification of a draft."""
    return []


@pytest.fixture(scope="module")
def engines(make_runner: Callable[..., Runner], tokenizer: Tokenizer, checked: list[int]) -> Iterator[list[Engine]]:
    """An engine that decodes token by token, and one that drafts."""
    runner = make_runner()
    prefill = runner.prefill

    def counted(slot: int, token_ids: Sequence[int], start: int, n_logits: int) -> Logits:
        if n_logits > 1:
            checked.append(n_logits)
        return prefill(slot, token_ids, start, n_logits)

    runner.prefill = counted  # type: ignore[method-assign]
    engines = [Engine(make_runner(), tokenizer, drafts=False), Engine(runner, tokenizer)]
    yield engines
    for engine in engines:
        engine.close()


@pytest.mark.parametrize(
    "sampling", [{"temperature": 0}, {"temperature": 0.3, "seed": 5}, {"temperature": 1, "seed": 6}]
)
def test_the_text_is_the_same_with_and_without_drafts(
    engines: list[Engine], checked: list[int], sampling: dict
) -> None:
    for prompt in ("def f(x):\n    return x\n" * 3, "a = 1\nb = 2\n" * 4, "x"):
        for stop in ((), ("e",)):
            params = SamplingParams(max_new_tokens=60, stop=stop, **sampling)
            texts = [list(engine.submit(CompletionRequest(prompt, sampling=params))) for engine in engines]
            plain, drafted = (
                [(event.id, event.text) if isinstance(event, TokenEvent) else event for event in events]
                for events in texts
            )
            assert plain == drafted
    assert checked and max(checked) == 1 + LONGEST


def test_drafts_pause_where_too_few_tokens_are_right() -> None:
    def count(n_right: int) -> int:
        drafting, ids, drafts = Drafting(), [1, 2, 3, 4] * 5, 0
        for _ in range(60):
            if drafting.draft(ids, 50):
                drafting.report(n_right)
                drafts += 1
        return drafts

    assert count(n_right=LONGEST) == 60
    assert count(n_right=0) < 12


def test_a_draft_keeps_to_the_room() -> None:
    assert len(Drafting().draft([1, 2] * 5, 3)) == 3
    assert Drafting().draft([1, 2] * 5, 0) == []
