"""The real ``openai`` package against a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
import torch

from app.settings import Settings
from santacoder import checkpoints
from santacoder.tokenizer import Tokenizer
from tests.app.api.conftest import MODEL, Serving, run_apart

PROMPT = "def area(width, height):\n    return "
GREEDY = {"model": MODEL, "prompt": PROMPT, "temperature": 0, "max_tokens": 12}


@pytest.fixture
def client(serving: Serving) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{serving.url}/v1", api_key="none", max_retries=0) as client:
        yield client
    serving.wait_until_idle()


def test_streamed_text_is_the_whole_text(client: openai.OpenAI) -> None:
    whole = client.completions.create(**GREEDY)
    assert whole.object == "text_completion" and whole.choices[0].finish_reason in ("stop", "length")
    chunks = list(client.completions.create(**GREEDY, stream=True, stream_options={"include_usage": True}))
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == whole.choices[0].text
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason
    assert chunks[-1].choices == [] and whole.usage and chunks[-1].usage
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens


def test_concurrent_async_clients_get_what_one_gets_alone(serving: Serving, client: openai.OpenAI) -> None:
    alone = client.completions.create(**GREEDY).choices[0].text

    async def streamed(asynchronous: openai.AsyncOpenAI) -> str:
        stream = await asynchronous.completions.create(**GREEDY, stream=True)
        return "".join([choice.text async for chunk in stream for choice in chunk.choices])

    async def many() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{serving.url}/v1", api_key="none") as asynchronous:
            return await asyncio.gather(*(streamed(asynchronous) for _ in range(20)))

    assert run_apart(many()) == [alone] * 20


def test_every_name_that_completions_take_is_a_model(client: openai.OpenAI) -> None:
    sha = (client.completions.create(**GREEDY).system_fingerprint or "").removeprefix("bigcode-")
    for revision in ("final", sha, sha[:8]):
        name = f"test/tiny@{revision}"
        assert client.completions.create(**{**GREEDY, "model": name}).choices
        assert client.models.retrieve(name).id == name


def test_the_model_chooses_the_revision(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["test/tiny@main", "test/tiny@other"]
    assert client.models.retrieve("test/tiny@other").owned_by == "test"
    texts = {
        name: client.completions.create(**{**GREEDY, "model": name}).choices[0].text
        for name in ("test/tiny@main", "test/tiny", "test/tiny@other")
    }
    assert texts["test/tiny"] == texts["test/tiny@main"] != texts["test/tiny@other"]


def test_a_suffix_and_marks_in_either_spelling_are_one_prompt(client: openai.OpenAI) -> None:
    def text(prompt: str, suffix: str | None = None) -> str:
        # marks are left as they are, a suffix is not
        extra = {"extra_body": {"token_healing": False}}
        return client.completions.create(**{**GREEDY, "prompt": prompt, **extra}, suffix=suffix).choices[0].text

    filled = text("x = ", "\nprint(x)\n")
    assert filled == text("<fim-prefix><fim-suffix>\nprint(x)\n<fim-middle>x = ")
    assert filled == text("<fim_prefix><fim_suffix>\nprint(x)\n<fim_middle>x = ")
    prefix_first = text("<fim-prefix>x = <fim-suffix>\nprint(x)\n<fim-middle>")
    assert prefix_first == text("<fim_prefix>x = <fim_suffix>\nprint(x)\n<fim_middle>")
    assert filled != text("x = ")


def test_a_seed_gives_its_text_and_each_choice_its_own(client: openai.OpenAI) -> None:
    def texts(**fields: object) -> list[str]:
        request = {**GREEDY, "temperature": 1.5, "n": 3, **fields}
        return [choice.text for choice in client.completions.create(**request).choices]  # type: ignore[call-overload]

    first = texts(seed=2**40)
    assert len(set(first)) == 3
    assert texts(seed=2**40) == first != texts(seed=1)
    assert texts(seed=2**40, n=1) == first[:1]


def test_streamed_choices_come_together(client: openai.OpenAI) -> None:
    request = {**GREEDY, "prompt": ["x = ", PROMPT], "temperature": 1.0, "seed": 5, "n": 2}
    expected = [choice.text for choice in client.completions.create(**request).choices]
    texts = [""] * 4
    for chunk in client.completions.create(**request, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    assert texts == expected


def test_the_best_has_the_highest_log_probability(client: openai.OpenAI) -> None:
    request = {**GREEDY, "temperature": 1.5, "seed": 1, "logprobs": 0}
    every = client.completions.create(**request, n=4)
    best = client.completions.create(**request, n=1, best_of=4)
    assert best.choices[0].text in [choice.text for choice in every.choices]
    assert every.usage and best.usage and best.usage.completion_tokens == every.usage.completion_tokens

    def mean(choice: openai.types.CompletionChoice) -> float:
        assert choice.logprobs and choice.logprobs.token_logprobs
        return sum(choice.logprobs.token_logprobs) / len(choice.logprobs.token_logprobs)

    if all(choice.finish_reason == "length" for choice in every.choices):
        # PyTorch's results depend on what is computed beside them, by rounding
        assert mean(best.choices[0]) == pytest.approx(max(map(mean, every.choices)), abs=1e-5)


@pytest.mark.parametrize("text", ["def area(width, height):\n    return width * height\n", 's = "🎅👍🏽 東é" + t'])
def test_echo_gives_the_log_probabilities_of_pytorch(
    client: openai.OpenAI, store: Path, tokenizer: Tokenizer, text: str
) -> None:
    """The request of lm-eval, which sums the log-probabilities."""
    model, _ = checkpoints.load("test/tiny", store=store)
    for prompt in (text, tokenizer.encode(text)):
        answer = client.completions.create(model=MODEL, prompt=prompt, max_tokens=0, echo=True, logprobs=1)
        choice = answer.choices[0]
        assert choice.text == text and choice.logprobs
        ids = tokenizer.encode(text)
        with torch.no_grad():
            expected = model(torch.tensor([ids]))[0, :-1, : tokenizer.vocab_size].log_softmax(-1)
        first, *others = choice.logprobs.token_logprobs or []
        assert first is None
        assert others == pytest.approx([float(row[i]) for row, i in zip(expected, ids[1:], strict=True)], abs=1e-3)
        assert choice.logprobs.top_logprobs
        best = [max(top.values()) for top in choice.logprobs.top_logprobs[1:]]
        assert best == pytest.approx(expected.max(-1).values.tolist(), abs=1e-3)
        tokens, offsets = choice.logprobs.tokens or [], choice.logprobs.text_offset or []
        assert "".join(tokens) == text
        assert all(text[offset:].startswith(token) for token, offset in zip(tokens, offsets, strict=True))
        assert offsets == sorted(offsets) and offsets[-1] == len(text) - len(tokens[-1])


def test_stop_ends_before_itself_and_its_tokens_are_not_reported(client: openai.OpenAI) -> None:
    whole = client.completions.create(**{**GREEDY, "max_tokens": 30}).choices[0].text
    stop = whole[4:6]
    choice = client.completions.create(**{**GREEDY, "max_tokens": 30}, stop=stop, logprobs=1).choices[0]
    assert choice.text == whole[: whole.index(stop)] and choice.finish_reason == "stop"
    assert choice.logprobs and len("".join(choice.logprobs.tokens or [])) >= len(choice.text)
    assert all(offset < len(choice.text) for offset in choice.logprobs.text_offset or [])


def test_a_text_of_parts_of_characters_has_all_its_tokens(client: openai.OpenAI, tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("東👍")
    stop = tokenizer.encode("z")[0]
    for index, wanted in enumerate(ids):
        bias = {wanted: 100, stop: 0}
        options = {"logit_bias": bias, "max_tokens": 2, "temperature": 0, "logprobs": 2}
        for echo in (False, True):
            choice = client.completions.create(model=MODEL, prompt=ids[:index] or "x", echo=echo, **options).choices[0]
            found = choice.logprobs
            assert found and found.tokens is not None and found.text_offset is not None and found.top_logprobs
            assert "".join(found.tokens) == choice.text
            assert len(found.tokens) == 2 + echo * max(1, index)
            assert all(
                choice.text[offset:].startswith(token)
                for offset, token in zip(found.text_offset, found.tokens, strict=True)
            )
            # none of two alternatives hides the other
            assert all(len(top) == 2 for top in found.top_logprobs if top)


def test_the_end_of_a_text_is_reported_but_not_shown(client: openai.OpenAI, tokenizer: Tokenizer) -> None:
    """Harnesses request one token more than they score, and drop the last."""
    bias = {str(tokenizer.end_of_text_id): 100}
    answer = client.completions.create(model=MODEL, prompt=PROMPT, max_tokens=1, echo=True, logprobs=1, logit_bias=bias)
    choice = answer.choices[0]
    assert choice.text == PROMPT and choice.finish_reason == "stop" and choice.logprobs
    assert len(choice.logprobs.token_logprobs or []) == len(tokenizer.encode(PROMPT)) + 1


def test_text_to_be_continued_is_healed_unless_it_is_not_wanted(client: openai.OpenAI, tokenizer: Tokenizer) -> None:
    prompt = "class A:\n    def f"
    request = {**GREEDY, "prompt": prompt, "logprobs": 1}

    def answer(**body: object) -> openai.types.Completion:
        return client.completions.create(**{**request, "prompt": body.pop("prompt", prompt)}, extra_body=body)

    plain = answer(token_healing=False)
    assert answer(prompt=tokenizer.encode(prompt)).choices[0].text == plain.choices[0].text
    healed = answer()
    assert healed.choices[0].text == answer(token_healing=True).choices[0].text
    found = healed.choices[0].logprobs
    assert found and found.tokens and found.text_offset
    assert healed.usage and plain.usage and healed.usage.prompt_tokens == plain.usage.prompt_tokens
    assert healed.usage.completion_tokens == len(found.tokens) == GREEDY["max_tokens"]
    assert "".join(found.tokens) == healed.choices[0].text and found.text_offset[0] == 0


def test_what_the_model_is_not_sure_of_is_not_written(client: openai.OpenAI) -> None:
    request = {**GREEDY, "logprobs": 0}
    whole = client.completions.create(**request).choices[0]
    assert whole.logprobs and whole.logprobs.token_logprobs and whole.logprobs.tokens
    limit = sorted(logprob for logprob in whole.logprobs.token_logprobs if logprob is not None)[0] + 1e-3
    sure = client.completions.create(**request, extra_body={"min_logprob": limit}).choices[0]
    assert sure.finish_reason == "stop" and whole.text.startswith(sure.text) and len(sure.text) < len(whole.text)
    refused = client.completions.with_raw_response
    with pytest.raises(openai.BadRequestError, match="min_logprob"):
        refused.create(**request, extra_body={"min_logprob": 1})


def test_a_bias_decides(client: openai.OpenAI, tokenizer: Tokenizer) -> None:
    wanted = tokenizer.encode("x")[0]
    plain = {**GREEDY, "extra_body": {"token_healing": False}}
    assert client.completions.create(**plain, logit_bias={str(wanted): 100}).choices[0].text == "x" * 12


@pytest.mark.parametrize(
    "fields,status,sentence",
    [
        ({"model": "gpt-4"}, 404, "There is no model 'gpt-4' here. Available models: test/tiny."),
        ({"model": "test/tiny@nope"}, 404, "has no revision 'nope'. Its branches are: main, other."),
        ({"temperature": 3}, 400, "temperature: Input should be less than or equal to 2."),
        ({"prompt": "a\0b"}, 400, "NUL character"),
        ({"prompt": [10**9]}, 400, "the token 1000000000"),
        ({"prompt": ["x"] * 20, "n": 2}, 400, "asks for more than 32 texts"),
        ({"best_of": 1, "n": 2}, 400, "best_of (1) must not be less than n (2)"),
        ({"prompt": "x" * Settings.model_fields["max_request_bytes"].default}, 413, "larger than 4,194,304 bytes"),
        ({"logit_bias": {"99999": 1}}, 400, "The logit_bias has the token 99999"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_refusals_are_sentences(
    client: openai.OpenAI, fields: dict[str, object], status: int, sentence: str, stream: bool
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.completions.create(**{**GREEDY, **fields}, stream=stream)  # type: ignore[call-overload]
    assert caught.value.status_code == status
    assert isinstance(caught.value.body, dict) and sentence in caught.value.body["message"]


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"prompt": "\\ud800"}', b"\xff"])
def test_what_is_no_request_is_refused(http: httpx.Client, body: bytes) -> None:
    answer = http.post("/v1/completions", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400 and answer.json()["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_is_forgotten(serving: Serving, stream: bool) -> None:
    # its texts would take longer than the wait at the end
    body = {**GREEDY, "max_tokens": 100, "n": 32, "stream": stream, "logit_bias": {"5": 100}}
    with serving.failing(seconds=0.4):
        with (
            httpx.Client(base_url=serving.url, timeout=2 if not stream else 30) as client,
            pytest.raises((httpx.ReadTimeout, StopIteration)),
        ):
            with client.stream("POST", "/v1/completions", json=body) as answer:
                next(answer.iter_bytes())
            raise StopIteration
        serving.wait_until_idle()


def test_the_page_is_still_there(http: httpx.Client) -> None:
    assert "SantaCoder" in http.get("/").text
    assert "/v1/completions" in http.get("/openapi.json").json()["paths"]


def test_logprobs_false_asks_for_none(client: openai.OpenAI) -> None:
    for value, are_given in ((False, False), (0, True), (True, True)):
        answer = client.completions.create(**{**GREEDY, "max_tokens": 1}, extra_body={"logprobs": value})
        assert (answer.choices[0].logprobs is not None) == are_given
