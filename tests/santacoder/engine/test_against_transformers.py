"""The engine's greedy text compared with transformers' ``generate``, with the same weights in fp32."""

from __future__ import annotations

import random

import pytest
import torch
from transformers import GPTBigCodeConfig, GPTBigCodeForCausalLM

from santacoder.engine.engine import Engine
from santacoder.engine.events import TokenEvent
from santacoder.engine.request import CompletionRequest
from santacoder.engine.torch_runner import TorchRunner
from santacoder.sampling import SamplingParams
from santacoder.tokenizer import Tokenizer
from tests.conftest import random_model

MODELS = [
    {"n_layer": 1, "n_embd": 32, "n_head": 1},
    {"n_layer": 3, "n_embd": 64, "n_head": 4},
    {"n_layer": 2, "n_embd": 96, "n_head": 3, "n_inner": 128, "gelu_approximate": "none"},
    {"n_layer": 2, "n_embd": 64, "n_head": 4, "multi_query": False},
    {"n_layer": 4, "n_embd": 64, "n_head": 8, "tie_word_embeddings": False},
]


@pytest.mark.parametrize("seed,shape", list(enumerate(MODELS)))
def test_greedy_text_equals_generate_for_40_random_prompts(tokenizer: Tokenizer, seed: int, shape: dict) -> None:
    chance = random.Random(seed)
    model = random_model(seed, vocab_size=tokenizer.vocab_size + 24, **shape)
    twin = GPTBigCodeForCausalLM(GPTBigCodeConfig(**model.config.to_transformers(eos_token_id=0, dtype="float32")))
    twin.load_state_dict(model.state_dict(), strict=False)
    twin.eval().tie_weights()
    engine = Engine(TorchRunner(model), tokenizer)
    requests = []
    for _ in range(40):
        sampling = SamplingParams(temperature=0, max_new_tokens=chance.randint(1, 24))
        requests.append(CompletionRequest(random_text(tokenizer, chance), None, sampling))
    streams = [engine.submit(request) for request in requests]
    for request, stream in zip(requests, streams, strict=True):
        events = list(stream)
        expected = generate(twin, tokenizer, request)
        assert [event.id for event in events if isinstance(event, TokenEvent)] == expected
        assert "".join(event.text for event in events) == tokenizer.decode(
            token_id for token_id in expected if token_id not in tokenizer.special_ids
        )
    engine.close()


def random_text(tokenizer: Tokenizer, chance: random.Random) -> str:
    ordinary = [token_id for token_id in range(tokenizer.vocab_size) if token_id not in tokenizer.special_ids]
    text = tokenizer.decode(chance.choices(ordinary, k=chance.randint(1, 60))).replace("\0", "")
    return text or "x"


def generate(twin: GPTBigCodeForCausalLM, tokenizer: Tokenizer, request: CompletionRequest) -> list[int]:
    prompt = tokenizer.encode(request.prefix)[-(128 - request.sampling.max_new_tokens) :]
    output = twin.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        max_new_tokens=request.sampling.max_new_tokens,
        do_sample=False,
        eos_token_id=tokenizer.end_of_text_id,
        pad_token_id=tokenizer.end_of_text_id,
        suppress_tokens=[*tokenizer.fim_ids, *range(tokenizer.vocab_size, twin.config.vocab_size)],
    )
    return output[0, len(prompt) :].tolist()
