"""Third-party clients against a real server: those of Ollama, Hugging Face, Mistral and OpenAI."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import huggingface_hub
import mistralai.client
import ollama
import openai
import pytest

from tests.app.api.conftest import MODEL, Serving

PROMPT = "def area(width, height):\n    return "
UNHEALED = {"max_new_tokens": 12, "token_healing": False}
SUFFIX = "\n\nprint(area(2, 3))\n"


@pytest.fixture(autouse=True)
def idle(serving: Serving) -> Iterator[None]:
    yield
    serving.wait_until_idle()


@pytest.fixture
def greedy(http: httpx.Client) -> str:
    """The model's greedy continuation of ``PROMPT``."""
    body = {"prompt": PROMPT, "max_tokens": 12, "temperature": 0}
    text = http.post("/v1/completions", json=body).json()["choices"][0]["text"]
    assert isinstance(text, str)
    return text


@pytest.fixture
def filled(http: httpx.Client) -> str:
    body = {"prompt": PROMPT, "suffix": SUFFIX, "max_tokens": 12, "temperature": 0}
    text = http.post("/v1/completions", json=body).json()["choices"][0]["text"]
    assert isinstance(text, str)
    return text


def test_ollama(serving: Serving, greedy: str, filled: str) -> None:
    client = ollama.Client(serving.url)
    names = [model.model for model in client.list().models]
    assert names == ["test/tiny:latest", "test/tiny:other"]
    assert "test/tiny:latest" in [model.model for model in client.ps().models]
    assert client.show("test/tiny").capabilities == ["completion", "insert"]
    assert [int(part) for part in httpx.get(f"{serving.url}/api/version").json()["version"].split(".")] > [0, 6]
    options = {"num_predict": 12, "temperature": 0}
    for name in ("test/tiny", "test/tiny:latest", "test/tiny:main", "test/tiny@main"):
        assert client.generate(name, PROMPT, options=options).response == greedy
    pieces = client.generate("test/tiny", PROMPT, suffix=SUFFIX, options=options, stream=True)
    assert "".join(piece.response or "" for piece in pieces) == filled
    told = client.generate("test/tiny", PROMPT, options=options, logprobs=True, top_logprobs=2)
    assert told.logprobs and "".join(token.token for token in told.logprobs).startswith(greedy)
    assert told.logprobs[0].top_logprobs and len(told.logprobs[0].top_logprobs) == 2
    with pytest.raises(ollama.ResponseError, match="do not chat"):
        client.chat("test/tiny", [{"role": "user", "content": "hello"}])
    with pytest.raises(ollama.ResponseError, match="There is no model 'llama3'"):
        client.generate("llama3", PROMPT)


def test_huggingface_hub(serving: Serving, greedy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # it would not even ask this machine
    client = huggingface_hub.InferenceClient(serving.url)
    assert client.text_generation(PROMPT, max_new_tokens=12) == greedy
    assert "".join(client.text_generation(PROMPT, max_new_tokens=12, stream=True)) == greedy
    # an echoed prompt is read as it is
    unhealed = httpx.post(f"{serving.url}/generate", json={"inputs": PROMPT, "parameters": UNHEALED}).json()[
        "generated_text"
    ]
    told = client.text_generation(
        PROMPT, max_new_tokens=12, details=True, decoder_input_details=True, top_n_tokens=2, return_full_text=True
    )
    assert told.generated_text == PROMPT + unhealed and told.details
    assert "".join(token.text for token in told.details.prefill) == PROMPT
    assert told.details.prefill[0].logprob is None
    shown = [token for token in told.details.tokens if not token.special]
    assert "".join(token.text for token in shown) == unhealed
    assert told.details.top_tokens and len(told.details.top_tokens) == len(told.details.tokens)
    *_, last = client.text_generation(PROMPT, max_new_tokens=12, stream=True, details=True)
    assert last.generated_text == greedy and last.details and last.details.input_length > 5


def test_mistral(serving: Serving, filled: str, greedy: str) -> None:
    with mistralai.client.Mistral(api_key="none", server_url=serving.url) as client:
        answer = client.fim.complete(model=MODEL, prompt=PROMPT, suffix=SUFFIX, temperature=0, max_tokens=12)
        assert answer.choices[0].message and answer.choices[0].message.content == filled
        assert answer.usage.completion_tokens and answer.object == "chat.completion"
        events = list(client.fim.stream(model=MODEL, prompt=PROMPT, suffix="", temperature=0, max_tokens=12))
        assert "".join(str(event.data.choices[0].delta.content) for event in events) == greedy
        assert events[-1].data.choices[0].finish_reason in ("stop", "length") and events[-1].data.usage


def test_openai(serving: Serving, greedy: str) -> None:
    with openai.OpenAI(base_url=f"{serving.url}/v1", api_key="none", max_retries=0) as client:
        assert client.models.retrieve("test/tiny").id == "test/tiny"
        assert client.models.retrieve("test/tiny@other").id == "test/tiny@other"
        fields = {"model": "test/tiny", "prompt": PROMPT, "max_tokens": 12, "temperature": 0}
        assert client.completions.create(**fields, suffix="").choices[0].text == greedy
        chunks = list(client.completions.create(**fields, stream=True, stream_options={"include_usage": True}))
        assert all("usage" in chunk.model_fields_set and chunk.usage is None for chunk in chunks[:-1])
        assert chunks[-1].usage and chunks[-1].choices == []
        beginning = client.completions.create(**{**fields, "prompt": ""})
        assert beginning.usage and beginning.usage.prompt_tokens == 1
        both = client.completions.create(**{**fields, "prompt": ["", PROMPT]})
        assert [choice.text for choice in both.choices] == [beginning.choices[0].text, greedy]
        for name in ("gpt-4", "test/tiny@nowhere"):
            with pytest.raises(openai.NotFoundError) as caught:
                client.completions.create(**{**fields, "model": name})
            assert caught.value.code == "model_not_found"
            with pytest.raises(openai.NotFoundError):
                client.models.retrieve(name)
