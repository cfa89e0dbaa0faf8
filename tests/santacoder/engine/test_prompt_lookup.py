"""Prompt lookup changes only the speed, never the text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santacoder.engine.engine import Engine
from santacoder.engine.events import TokenEvent
from santacoder.engine.prompt_lookup import LONGEST, SHORTEST, TRUSTED, Drafting, PromptLookups
from santacoder.engine.request import CompletionRequest
from santacoder.engine.runner import Logits, Portion, Runner
from santacoder.engine.scheduler import Turn
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer


@given(st.lists(st.integers(0, 2), min_size=1, max_size=60), st.integers(1, 60), st.integers(0, 20))
def test_a_draft_continues_an_occurrence_that_has_predicted_enough(ids: list[int], n_first: int, room: int) -> None:
    def by_hand() -> list[int]:
        predicted, n_right = None, 0
        for end in range(1, len(ids) + 1):
            if predicted is not None and ids[predicted] == ids[end - 1]:
                predicted, n_right = predicted + 1, n_right + 1
                continue
            predicted, n_right = None, 0
            for size in (4, 3, 2):
                earlier = [at for at in range(size, end) if ids[at - size : at] == ids[end - size : end]]
                if end > size and earlier and predicted is None:
                    predicted = earlier[-1]
        if predicted is None or (has_drafted and n_right < TRUSTED):
            return []
        written = list(ids)
        for offset in range(min(max(SHORTEST, n_right), LONGEST, room)):
            written.append(written[predicted + offset])
        return written[len(ids) :]

    drafting = Drafting()
    has_drafted = bool(drafting.draft(ids[:n_first], room))  # however many tokens arrive at once
    assert drafting.draft(ids, room) == by_hand()


@given(
    st.lists(st.integers(0, 3), min_size=90, max_size=300),
    st.lists(st.tuples(st.integers(0, 300), st.lists(st.integers(0, 3), max_size=80)), min_size=2, max_size=5),
)
def test_what_earlier_prompts_were_searched_for_changes_no_draft(
    prompt: list[int], others: list[tuple[int, list[int]]]
) -> None:
    lookups = PromptLookups()
    for n_alike, rest in others:
        ids = prompt[:n_alike] + rest
        known, new = lookups.begin(ids), Drafting()
        for _ in range(3):  # and what is written behind a prompt does not get into another
            assert known.draft(ids, 20) == new.draft(ids, 20)
            ids = ids + [1, 2, 3]


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
    engines: list[Engine], tokenizer: Tokenizer, checked: list[int], sampling: dict
) -> None:
    # a random model would hardly ever repeat itself
    usual, rare = tokenizer.encode("x")[0], tokenizer.encode("=")[0]
    sampling = {**sampling, "logit_bias": ((usual, 50.0), (rare, 47.0))}
    for prompt in ("def f(x):\n    return x\n" * 3, "a = 1\nb = 2\n" * 4, "x"):
        for stop in ((), ("e",)):
            params = SamplingParams(max_new_tokens=60, stop=stop, **sampling)
            texts = [list(engine.submit(CompletionRequest(prompt, sampling=params))) for engine in engines]
            plain, drafted = (
                [(event.id, event.text) if isinstance(event, TokenEvent) else event for event in events]
                for events in texts
            )
            assert plain == drafted
    assert checked and 1 + SHORTEST <= max(checked) <= 1 + LONGEST


@pytest.mark.parametrize("exact", [True, False])
def test_without_exact_nothing_is_drafted_while_many_decode(
    make_runner: Callable[..., Runner], tokenizer: Tokenizer, exact: bool
) -> None:
    runner = make_runner(n_slots=12)
    engine = Engine(runner, tokenizer, exact=exact)
    prefill, next_turn = runner.prefill, engine._scheduler.turn
    n_decoding, at_drafts = [0], set()

    def counted(slot: int, token_ids: Sequence[int], start: int, n_logits: int) -> Logits:
        if n_logits > 1:
            at_drafts.add(n_decoding[0])
        return prefill(slot, token_ids, start, n_logits)

    def watched() -> Turn:
        turn = next_turn()
        n_decoding[0] = len(turn.decoding)
        return turn

    def counted_together(portions: Sequence[Portion]) -> Sequence[Logits]:
        if any(n_logits > 1 for *_, n_logits in portions):  # prompts that arrive together are not drafts
            at_drafts.add(n_decoding[0])
        assert verify is not None
        return verify(portions)

    if (verify := runner.prefill_together) is not None:
        runner.prefill_together = counted_together
    runner.prefill = counted  # type: ignore[method-assign]
    engine._scheduler.turn = watched  # type: ignore[method-assign]
    usual = tokenizer.encode("x")[0]
    for n_streams in (12, 2):
        params = SamplingParams(max_new_tokens=60, temperature=0, logit_bias=((usual, 50.0),))
        for stream in [engine.submit(CompletionRequest("x", sampling=params)) for _ in range(n_streams)]:
            list(stream)
    engine.close()
    assert at_drafts and (max(at_drafts) > 8) == (exact and verify is None)


def test_the_first_draft_of_a_text_needs_no_evidence() -> None:
    drafting = Drafting()
    assert drafting.draft([1, 2, 3, 4, 1, 2], 0) == []
    assert drafting.draft([1, 2, 3, 4, 1, 2], 2) == [3, 4]
    assert drafting.draft([1, 2, 3, 4, 1, 2, 5, 1, 2], 2) == []


def test_a_wrong_prediction_ends_the_trust() -> None:
    ids = [1, 2, 3, 4] * 5
    drafting = Drafting()
    assert drafting.draft(ids, 50) == ([1, 2, 3, 4] * 4)[:14], "14 tokens have been predicted, from the sixth on"
    assert drafting.draft([*ids, 9], 50) == []
    assert drafting.draft([*ids, 9, 1, 2, 3], 50) == []


def test_a_draft_keeps_to_the_room() -> None:
    assert len(Drafting().draft([1, 2] * 5, 3)) == 3
    assert Drafting().draft([1, 2] * 5, 0) == []
