"""Log-probabilities of a given text, and biases on logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

import santacoder.engine.engine as engine_module
from santacoder.engine.engine import Engine
from santacoder.engine.events import Event, Finished, PromptToken, TokenEvent
from santacoder.engine.request import CompletionRequest
from santacoder.engine.runner import Runner
from santacoder.model import SantaCoder
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer

TEXT = "def area(width, height):\n    return width * height  # é 東\n"


@pytest.fixture(scope="module")
def engine(make_runner: Callable[..., Runner], tokenizer: Tokenizer) -> Iterator[Engine]:
    engine = Engine(make_runner(n_slots=2), tokenizer)
    yield engine
    engine.close()


def events(engine: Engine, prefix: str, suffix: str | None = None, **sampling: object) -> list[Event]:
    params = SamplingParams(**{"temperature": 0, "max_new_tokens": 0, **sampling})  # type: ignore[arg-type]
    return list(engine.submit(CompletionRequest(prefix, suffix, params, echo=True)))


@torch.no_grad()
def log_probabilities(model: SantaCoder, ids: list[int], vocab_size: int) -> torch.Tensor:
    """[T - 1, V]: log-probabilities by PyTorch without a cache."""
    return model(torch.tensor([ids]))[0, :-1, :vocab_size].log_softmax(-1)


@pytest.mark.parametrize("suffix", [None, "\nprint(area(1, 2))\n"])
def test_an_echo_has_the_log_probabilities_of_pytorch(
    engine: Engine,
    model: SantaCoder,
    tokenizer: Tokenizer,
    suffix: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_module, "PROMPT_CHUNK", 16)
    for _ in range(2):  # what the cache holds by the second time must not be missing from the echo
        *prompt, last = events(engine, TEXT, suffix, top_logprobs=3)
        assert isinstance(last, Finished) and last.reason == "length"
        assert all(isinstance(event, PromptToken) for event in prompt)
        ids = [event.id for event in prompt if isinstance(event, PromptToken)]
        assert "".join(event.text for event in prompt) == tokenizer.decode(ids)
        assert suffix or tokenizer.decode(ids) == TEXT
        expected = log_probabilities(model, ids, tokenizer.vocab_size)
        first, *others = [event for event in prompt if isinstance(event, PromptToken)]
        assert first.logprob is None and first.top == ()
        for row, event in zip(expected, others, strict=True):
            assert event.logprob == pytest.approx(float(row[event.id]), abs=1e-3)
            assert [logprob for _, logprob in event.top] == pytest.approx(row.topk(3).values.tolist(), abs=1e-3)


def test_an_echo_goes_before_the_text(engine: Engine) -> None:
    alone = engine.submit(CompletionRequest(TEXT, sampling=SamplingParams(temperature=0, max_new_tokens=8)))
    written = [event.id for event in alone if isinstance(event, TokenEvent)]
    echoed = events(engine, TEXT, max_new_tokens=8)
    assert [event.id for event in echoed if isinstance(event, TokenEvent)] == written
    first_written = next(index for index, event in enumerate(echoed) if isinstance(event, TokenEvent))
    assert all(isinstance(event, PromptToken) for event in echoed[:first_written])


def test_an_echo_that_does_not_fit_is_refused(engine: Engine) -> None:
    with pytest.raises(ValueError, match="cannot be echoed: the context of 128 tokens"):
        events(engine, "x = 1\n" * 200)


@pytest.mark.parametrize("prompt", ["x", TEXT])
def test_no_new_tokens_reads_the_prompt_alone(engine: Engine, prompt: str) -> None:
    request = CompletionRequest(prompt, sampling=SamplingParams(max_new_tokens=0))
    assert list(engine.submit(request)) == [Finished("length")]
    stream = engine.submit(request)
    list(stream)
    assert stream.n_cached == stream.n_prompt - 1


def test_a_prompt_may_come_as_tokens(engine: Engine, tokenizer: Tokenizer) -> None:
    ids = tuple(tokenizer.encode("def") + tokenizer.encode(" area"))
    request = CompletionRequest("def area", sampling=SamplingParams(max_new_tokens=0), prefix_ids=ids, echo=True)
    assert tuple(event.id for event in engine.submit(request) if isinstance(event, PromptToken)) == ids
    with pytest.raises(ValueError, match="The prompt has the token 99999"):
        engine.submit(CompletionRequest("x", prefix_ids=(99999,)))


def test_a_bias_decides(engine: Engine, tokenizer: Tokenizer) -> None:
    wanted = tokenizer.encode("x")[0]

    def ids(bias: tuple[tuple[int, float], ...]) -> list[int]:
        sampling = SamplingParams(temperature=0, max_new_tokens=5, logit_bias=bias)
        stream = engine.submit(CompletionRequest(TEXT, sampling=sampling))
        return [event.id for event in stream if isinstance(event, TokenEvent)]

    assert ids(((wanted, 100.0),)) == [wanted] * 5
    plain = ids(())
    assert ids(((plain[0], -100.0),))[0] != plain[0]
    with pytest.raises(ValueError, match="The logit_bias has the token 99999"):
        ids(((99999, 1.0),))
