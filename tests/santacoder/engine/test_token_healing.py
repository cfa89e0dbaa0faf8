"""A prompt that ends inside a token is continued as if it did not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from santacoder.engine.accumulator import Accumulator
from santacoder.engine.choosing import choose, foresee
from santacoder.engine.engine import Engine
from santacoder.engine.events import Finished, TokenEvent
from santacoder.engine.request import CompletionRequest, build_prompt
from santacoder.engine.runner import Runner
from santacoder.engine.stream import Stream
from santacoder.engine.token_healing import TokenHealing
from santacoder.model import SantaCoder
from santacoder.sampling import Sampler, SamplingParams
from santacoder.tokenizer import Tokenizer

code = st.text(st.sampled_from("abdefilmnorst_  \n\t()[]:.,='\"0123東é👍"), min_size=1, max_size=20)
PROMPTS = ("def area(w, h):\n", "class A:\n    def f", "x = tok", "return ", "s = '東", "# <|endo", "import os\n\n\n")


@pytest.fixture(scope="module")
def healing(tokenizer: Tokenizer) -> TokenHealing:
    return TokenHealing(tokenizer)


@pytest.fixture(scope="module")
def engine(make_runner: Callable[..., Runner], tokenizer: Tokenizer) -> Iterator[Engine]:
    engine = Engine(make_runner(n_slots=4), tokenizer)
    yield engine
    engine.close()


def healed(prefix: str, suffix: str | None = None, order: str = "psm", **sampling: Any) -> CompletionRequest:
    params = SamplingParams(**{"temperature": 0, "max_new_tokens": 12, "token_healing": True, **sampling})
    return CompletionRequest(prefix, suffix, params, order)  # type: ignore[arg-type]


def tokens(stream: Stream) -> list[TokenEvent]:
    return [event for event in stream if isinstance(event, TokenEvent)]


@given(text=code, more=code)
def test_what_is_kept_stays_as_it_is_whatever_follows(
    tokenizer: Tokenizer, healing: TokenHealing, text: str, more: str
) -> None:
    ids = tokenizer.encode(text)
    n_open = healing.n_open(ids)
    if n_open < 8:  # more is never taken back
        kept = ids[: len(ids) - n_open]
        assert tokenizer.encode(text + more)[: len(kept)] == kept


@given(text=code)
def test_agreeing_tokens_begin_with_the_text_or_it_with_them(
    tokenizer: Tokenizer, healing: TokenHealing, text: str
) -> None:
    for start in range(len(text.encode())):
        wanted = text.encode()[start:]
        spelled = {id_: tokenizer.decode_bytes([id_]) for id_ in healing.agreeing(wanted).tolist()}
        assert spelled and tokenizer.special_ids.isdisjoint(spelled)
        assert all(token.startswith(wanted) or wanted.startswith(token) for token in spelled.values())
        covering = {
            id_
            for id_ in range(tokenizer.vocab_size)
            if tokenizer.decode_bytes([id_]).startswith(wanted) and id_ not in tokenizer.special_ids
        }
        assert covering <= spelled.keys()
    # the text as it is can be spelled, and so can any that goes on after it
    for more in ("", "a", "("):
        first = tokenizer.encode(text + more)[0]
        if len(tokenizer.decode_bytes([first])) >= len(text.encode()) or not more:
            assert first in healing.agreeing(text.encode())


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("sampling", [{}, {"temperature": 1.0, "seed": 5}, {"stop": ("e",)}, {"top_logprobs": 3}])
def test_the_text_begins_after_what_was_typed(
    engine: Engine, tokenizer: Tokenizer, prompt: str, sampling: dict[str, Any]
) -> None:
    stream = engine.submit(healed(prompt, **sampling))
    events = list(stream)
    accumulator = Accumulator(tokenizer, stream.prompt_end)
    for event in events:
        accumulator.add(event)
    written = [event for event in events if isinstance(event, TokenEvent)]
    plain = [event.id for event in written if event.id not in tokenizer.special_ids]
    whole = tokenizer.decode([*stream._sequence.prompt, *plain]).removeprefix("<|endoftext|>")
    assert whole.startswith(prompt)
    text = whole.removeprefix(prompt)
    assert accumulator.text == (text[: text.index("e")] if sampling.get("stop") and "e" in text else text)
    new = [token for token in accumulator.tokens if token.id not in tokenizer.special_ids]
    assert "".join(token.text for token in new).startswith(accumulator.text)
    assert all(accumulator.text.startswith(token.text, token.offset) for token in new[:-1])
    assert len(new) <= 12 and stream.n_prompt == len(tokenizer.encode(prompt))
    last = events[-1]
    assert isinstance(last, Finished)
    if last.reason == "length":
        assert len(new) == 12 == stream._sequence.n_written


@pytest.mark.parametrize("order", ["psm", "spm"])
@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_middle_begins_after_what_was_typed(engine: Engine, tokenizer: Tokenizer, prompt: str, order: str) -> None:
    stream = engine.submit(replace(healed(prompt, "\n    return y\n", order), fit_gap=True))
    typed = tokenizer.decode_bytes(stream._sequence.taken_back)
    assert typed and prompt.encode().endswith(typed)
    events = list(stream)
    spelled = b"".join(
        tokenizer.decode_bytes([event.id])
        for event in events
        if isinstance(event, TokenEvent) and event.id not in tokenizer.special_ids
    )
    assert spelled.startswith(typed)
    accumulator = Accumulator(tokenizer, stream.prompt_end)
    for event in events:
        accumulator.add(event)
    assert accumulator.text and spelled.removeprefix(typed).decode(errors="replace").startswith(accumulator.text)


@pytest.mark.parametrize("suffix,order", [(None, "psm"), ("\n    return y\n", "psm"), ("\n    return y\n", "spm")])
@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy_tokens_are_the_models_likeliest_that_agree(
    engine: Engine,
    model: SantaCoder,
    tokenizer: Tokenizer,
    healing: TokenHealing,
    prompt: str,
    suffix: str | None,
    order: str,
) -> None:
    """Beside a plain loop without a cache. A token taken back counts by what may follow it."""
    request = healed(prompt, suffix, order)
    given_prompt = build_prompt(request, tokenizer, 128, healing=healing)
    ids, left, typed = list(given_prompt.ids), list(given_prompt.taken_back), given_prompt.typed
    never = [] if suffix is not None else list(tokenizer.fim_ids)

    def logits(ids: list[int]) -> torch.Tensor:
        with torch.no_grad():
            return model(torch.tensor([ids]))[0, -1, : tokenizer.vocab_size].double()

    for event in tokens(engine.submit(request)):
        row = logits(ids)
        row[never] = -torch.inf
        if typed:
            allowed = torch.from_numpy(healing.agreeing(typed))
            row = torch.full_like(row, -torch.inf).index_put((allowed,), row[allowed])
            rest = typed[len(tokenizer.decode_bytes(left[:1])) :]
            if left and rest:
                follow = logits([*ids, left[0]]).softmax(-1)[torch.from_numpy(healing.agreeing(rest))].sum()
                row[left[0]] += follow.log()
        assert event.id == int(row.argmax())
        if typed or suffix is not None:
            assert event.logprob == pytest.approx(float(row.log_softmax(-1)[event.id]), abs=1e-3)
        left = left[1:] if left[:1] == [event.id] else []
        typed = typed[len(tokenizer.decode_bytes([event.id])) :]
        ids.append(event.id)


@pytest.mark.parametrize("temperature", [0, 1.0])
def test_neither_company_nor_cache_nor_drafts_change_a_healed_text(
    make_runner: Callable[..., Runner], tokenizer: Tokenizer, engine: Engine, temperature: float
) -> None:
    requests = [healed(prompt, temperature=temperature, seed=7, max_new_tokens=30) for prompt in PROMPTS * 2]
    requests += [healed(prompt, "\n", "spm", temperature=temperature, seed=7) for prompt in PROMPTS]
    alone = [[event.id for event in tokens(engine.submit(request))] for request in requests]
    streams = [engine.submit(request) for request in requests]
    assert [[event.id for event in tokens(stream)] for stream in streams] == alone
    fresh = Engine(make_runner(n_slots=2), tokenizer, drafts=False)
    assert [[event.id for event in tokens(fresh.submit(request))] for request in requests] == alone
    fresh.close()


def test_tokens_echoes_and_prompts_that_are_only_read_are_left_alone(engine: Engine, tokenizer: Tokenizer) -> None:
    prompt = PROMPTS[0]
    ids = tuple(tokenizer.encode(prompt))
    sampling = SamplingParams(temperature=0, max_new_tokens=8)
    plain = [event.id for event in tokens(engine.submit(CompletionRequest(prompt, None, sampling)))]
    for options in ({"prefix_ids": ids}, {"echo": True}):
        request = CompletionRequest(prompt, None, replace(sampling, token_healing=True), **options)  # type: ignore[arg-type]
        assert [event.id for event in tokens(engine.submit(request))] == plain
    stream = engine.submit(healed(prompt, max_new_tokens=0))
    assert list(stream) == [Finished("length")] and stream.n_prompt == len(ids)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_bias_is_for_new_text_and_not_for_the_end_of_the_prompt(
    engine: Engine, tokenizer: Tokenizer, healing: TokenHealing, prompt: str
) -> None:
    typed = build_prompt(healed(prompt), tokenizer, 128, healing=healing).typed
    assert typed
    agreeing = healing.agreeing(typed).tolist()
    spelling = [id_ for id_ in agreeing if len(tokenizer.decode_bytes([id_])) <= len(typed)]
    plain = tokens(engine.submit(healed(prompt)))[0].id
    others = tuple((id_, -100.0 if id_ in spelling else 0.0) for id_ in agreeing)
    assert tokens(engine.submit(healed(prompt, logit_bias=others)))[0].id == plain
    banned = tuple((id_, -math.inf) for id_ in agreeing)
    first, *_, last = engine.submit(healed(prompt, logit_bias=banned))
    assert isinstance(last, Finished) and last.reason != "error"
    assert isinstance(first, TokenEvent) and first.id in (spelling or agreeing)


def test_a_text_that_was_begun_goes_on_spelling(engine: Engine, tokenizer: Tokenizer) -> None:
    """As the page asks for the continuation of an alternative."""
    prompt = "class A:\n    def f"
    healing = TokenHealing(tokenizer)
    given_prompt = build_prompt(healed(prompt), tokenizer, 128, healing=healing)
    assert given_prompt.typed
    sampling = SamplingParams(temperature=0, max_new_tokens=8)
    for n_begun in range(len(given_prompt.taken_back) + 1):
        begun = given_prompt.taken_back[:n_begun]
        left = given_prompt.typed[len(tokenizer.decode_bytes(begun)) :]
        request = CompletionRequest("", None, sampling, prefix_ids=(*given_prompt.ids, *begun), typed=left)
        written = tokens(engine.submit(request))
        assert tokenizer.decode_bytes(event.id for event in written).startswith(left)


def test_what_is_typed_is_not_spelled_if_nothing_may_be_written(engine: Engine, tokenizer: Tokenizer) -> None:
    ids = tuple(tokenizer.encode("class A:\n    def"))
    request = CompletionRequest("", None, SamplingParams(max_new_tokens=0), prefix_ids=ids, typed=b" ")
    assert list(engine.submit(request)) == [Finished("length")]


def test_a_context_without_room_ends_the_text(engine: Engine, tokenizer: Tokenizer) -> None:
    for length in range(100, 140, 7):
        stream = engine.submit(healed("x = 1\n" * length + "    retu", max_new_tokens=100, ignore_eos=True))
        *_, last = stream
        assert isinstance(last, Finished) and last.reason == "length"
        assert len(stream._sequence.ids) <= 128


def test_rows_on_a_device_choose_the_same(tokenizer: Tokenizer, healing: TokenHealing) -> None:
    chance = np.random.default_rng(0)
    logits = chance.normal(0, 3, (6, tokenizer.vocab_size)).astype(np.float32)
    agreeing = [healing.agreeing(text) if text else None for text in (b"\n", b" re", b"", b"'", b"", b"\n    ")]
    params = [SamplingParams(temperature=row % 2, top_k=row * 3, top_logprobs=20, seed=row) for row in range(6)]
    ours, theirs = (
        choose(rows, [Sampler(each) for each in params], [[]] * 6, agreeing)
        for rows in (logits, torch.from_numpy(logits))
    )
    for mine, other, ids in zip(ours, theirs, agreeing, strict=True):
        assert not isinstance(mine, Exception) and not isinstance(other, Exception)
        assert mine.id == other.id and mine.logprob == pytest.approx(other.logprob, abs=1e-4)
        assert [id_ for id_, _ in mine.top] == [id_ for id_, _ in other.top]
        if ids is not None:
            assert mine.id in ids and {id_ for id_, _ in mine.top} <= set(ids.tolist())
    lowered = foresee(logits[:1], 5, logits[1], np.array([1, 2]))
    on_device = foresee(torch.from_numpy(logits[:1]), 5, torch.from_numpy(logits[1]), np.array([1, 2]))
    assert np.allclose(lowered, on_device, atol=1e-5)
    share = torch.from_numpy(logits[1]).log_softmax(-1)[[1, 2]].logsumexp(0)
    assert lowered[0, 5] - logits[0, 5] == pytest.approx(float(share), abs=1e-4)
