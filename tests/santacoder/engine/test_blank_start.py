"""A text that is to stop repetition does not begin with the same white space again and again."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from santacoder.engine.blank_start import BlankStart
from santacoder.engine.engine import Engine
from santacoder.engine.events import TokenEvent
from santacoder.engine.request import CompletionRequest
from santacoder.engine.runner import Runner
from santacoder.model import SantaCoder
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer

PROMPTS = ("def area(w, h):", "x = 1\n", "class A:\n    def f", "")


@pytest.fixture(scope="module")
def engine(make_runner: Callable[..., Runner], tokenizer: Tokenizer) -> Iterator[Engine]:
    engine = Engine(make_runner(n_slots=4), tokenizer)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def blanks(tokenizer: Tokenizer) -> list[int]:
    """Tokens of white space, with which every text of these tests would go on for ever."""
    ids = [id_ for id_ in range(tokenizer.vocab_size) if tokenizer.decode_bytes([id_]).isspace()]
    assert len(ids) >= 4
    return ids[:4]


def asked(prompt: str, blanks: list[int], **fields: Any) -> CompletionRequest:
    """For a text of a model that likes ``blanks`` best."""
    bias = tuple((id_, 60.0) for id_ in blanks)
    sampling = {"temperature": 0, "max_new_tokens": 12, "stop_repetition": True, "logit_bias": bias, "ignore_eos": True}
    return CompletionRequest(
        prompt, None, SamplingParams(**{**sampling, **fields}), prefix_ids=None if prompt else (0,)
    )


def tokens(engine: Engine, request: CompletionRequest) -> list[TokenEvent]:
    return [event for event in engine.submit(request) if isinstance(event, TokenEvent)]


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("token_healing", [False, True])
def test_a_blank_token_is_not_written_twice_until_something_else_is(
    engine: Engine, model: SantaCoder, tokenizer: Tokenizer, blanks: list[int], prompt: str, token_healing: bool
) -> None:
    """Beside a plain loop. What is reported is the model's own probability."""
    stream = engine.submit(asked(prompt, blanks, token_healing=token_healing, top_logprobs=3))
    ids = list(stream._sequence.prompt)
    text, before, n_free = "", set[int](), 0
    decoder = codecs.getincrementaldecoder("utf-8")("replace")  # the first byte of a character is no text yet
    for event in stream:
        if not isinstance(event, TokenEvent):
            continue
        with torch.no_grad():
            logits = model(torch.tensor([ids]))[0, -1, : tokenizer.vocab_size]
        if not event.n_typed:
            assert event.logprob == pytest.approx(float(logits.log_softmax(-1)[event.id]), abs=1e-3)
            logits[blanks] += 60
            logits[sorted(tokenizer.special_ids | before)] = -torch.inf
            assert event.id == int(logits.argmax())
            n_free += 1
        spelled = tokenizer.decode_bytes([event.id])
        text += decoder.decode(spelled[event.n_typed :])
        if text.strip():
            before = set()
        elif spelled.isspace() and len(spelled) > event.n_typed:
            before.add(event.id)
        ids.append(event.id)
    assert text.strip() and n_free > len(blanks) + 2
    assert ids[-1] in blanks  # once something is written, they come again


def test_only_where_it_is_asked_for(engine: Engine, blanks: list[int]) -> None:
    ids = [event.id for event in tokens(engine, asked(PROMPTS[0], blanks, stop_repetition=False))]
    assert len(ids) == 12 and set(ids) <= set(blanks)


@pytest.mark.parametrize("temperature", [0, 1.0])
def test_neither_company_nor_drafts_change_such_a_text(
    make_runner: Callable[..., Runner], engine: Engine, tokenizer: Tokenizer, blanks: list[int], temperature: float
) -> None:
    requests = [asked(prompt, blanks, temperature=temperature, seed=3) for prompt in PROMPTS]
    alone = [[event.id for event in tokens(engine, request)] for request in requests]
    streams = [engine.submit(request) for request in requests]
    assert [[event.id for event in stream if isinstance(event, TokenEvent)] for stream in streams] == alone
    fresh = Engine(make_runner(n_slots=2), tokenizer, drafts=False)
    assert [[event.id for event in tokens(fresh, request)] for request in requests] == alone
    fresh.close()


def test_a_blank_text_that_was_begun_knows_its_tokens(engine: Engine, tokenizer: Tokenizer, blanks: list[int]) -> None:
    request = asked(PROMPTS[0], blanks, max_new_tokens=8)
    ids = [event.id for event in tokens(engine, request)]
    prompt = tokenizer.encode(PROMPTS[0])
    for n_begun in (1, 2, 3):
        begun = ids[:n_begun]
        again = CompletionRequest(
            PROMPTS[0],
            None,
            SamplingParams(**{**vars(request.sampling), "max_new_tokens": 8 - n_begun}),
            prefix_ids=(*prompt, *begun),
            is_begun=True,
            written=tuple((token_id, tokenizer.decode([token_id])) for token_id in begun),
        )
        assert [event.id for event in tokens(engine, again)] == ids[n_begun:]


def test_the_bytes_of_a_character_may_come_twice(tokenizer: Tokenizer) -> None:
    start = BlankStart(tokenizer)
    for id_ in tokenizer.encode("\n\U0001f7e9"):
        start.add(id_)
    assert start.avoided == tokenizer.encode("\n")
