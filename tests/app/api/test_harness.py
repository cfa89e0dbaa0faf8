"""Requests of evaluation harnesses: log-probabilities and greedy texts equal those of PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import torch
from transformers import AutoModelForCausalLM

from app.settings import Settings
from santacoder import checkpoints
from santacoder.tokenizer import Tokenizer
from tests.app.api.conftest import serve

REPO, BRANCH = "santacoder/nano", "no-fim"
STORE = checkpoints.DEFAULT_STORE
CODE = "import os\n\n\ndef main(path):\n    for name in os.listdir(path):\n"


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """A server with the PyTorch runner, because quantised weights give slightly different results."""
    settings = Settings(model=REPO, revision=BRANCH, runner="torch", device="cpu")
    with serve(settings) as serving, httpx.Client(base_url=serving.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def twin() -> Any:
    """The same commit, loaded by transformers."""
    sha = checkpoints.resolve(REPO, BRANCH).name
    return AutoModelForCausalLM.from_pretrained(REPO, revision=sha, cache_dir=STORE, dtype=torch.float32)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return checkpoints.load(REPO, BRANCH)[1]


@torch.no_grad()
@pytest.mark.parametrize("as_tokens", [True, False])
def test_log_likelihoods(http: httpx.Client, twin: Any, tokenizer: Tokenizer, as_tokens: bool) -> None:
    """The request and its evaluation are those of lm-eval's local-completions."""
    pairs = [(CODE, "        print(name)\n"), (CODE, "        os.remove(name)\n"), ("x", " = 1\n")]
    prompts = [tokenizer.encode(context + continuation) for context, continuation in pairs]
    starts = [len(tokenizer.encode(context)) for context, _ in pairs]
    body = {
        "model": f"{REPO}@{BRANCH}",
        "prompt": prompts if as_tokens else [tokenizer.decode(prompt) for prompt in prompts],
        "temperature": 0,
        "max_tokens": 1,
        "logprobs": 1,
        "seed": 1234,
        "echo": True,
    }
    choices = http.post("/v1/completions", json=body).raise_for_status().json()["choices"]
    choices.sort(key=lambda choice: choice["index"])
    for choice, prompt, start in zip(choices, prompts, starts, strict=True):
        logits = twin(torch.tensor([prompt])).logits[0, start - 1 : -1, : tokenizer.vocab_size]
        expected, continuation = logits.log_softmax(-1), prompt[start:]
        given = choice["logprobs"]["token_logprobs"][start:-1]
        likeliest = [max(top.values()) for top in choice["logprobs"]["top_logprobs"][start:-1]]
        assert given == pytest.approx([float(row[i]) for row, i in zip(expected, continuation, strict=True)], abs=1e-3)
        assert sum(given) == pytest.approx(float(expected[range(len(continuation)), continuation].sum()), abs=1e-3)
        assert likeliest == pytest.approx(expected.max(-1).values.tolist(), abs=1e-3)


@pytest.mark.parametrize("prompt", [CODE, "class Stack:\n    def __init__(self):\n", "def area("])
def test_greedy_texts_are_those_of_transformers(
    http: httpx.Client, twin: Any, tokenizer: Tokenizer, prompt: str
) -> None:
    sha = checkpoints.resolve(REPO, BRANCH).name
    body = {"model": f"{REPO}@{sha}", "prompt": prompt, "max_tokens": 40, "temperature": 0}
    body["token_healing"] = False  # as tokens of the prompt stay as they are in transformers
    answer = http.post("/v1/completions", json=body).raise_for_status().json()
    ids = torch.tensor([tokenizer.encode(prompt)])
    written = twin.generate(
        ids, max_new_tokens=40, do_sample=False, pad_token_id=tokenizer.end_of_text_id,
        suppress_tokens=list(tokenizer.fim_ids),
    )[0, ids.shape[1] :].tolist()  # fmt: skip
    end = tokenizer.end_of_text_id
    expected = written[: written.index(end)] if end in written else written
    assert answer["system_fingerprint"].endswith(sha)
    assert answer["choices"][0]["text"] == tokenizer.decode(expected)
