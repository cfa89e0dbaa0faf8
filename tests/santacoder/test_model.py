"""The model against transformers' GPTBigCode with the same weights."""

from __future__ import annotations

import pytest
import torch
from transformers import GPTBigCodeConfig, GPTBigCodeForCausalLM

from santacoder.attention import _MultiQueryInBlocks
from santacoder.config import SantaCoderConfig
from santacoder.kv_cache import KVCache
from santacoder.model import SantaCoder
from tests.conftest import random_model

SHAPES = [
    {"n_layer": 1, "n_embd": 32, "n_head": 1},
    {"n_layer": 3, "n_embd": 64, "n_head": 4},
    {"n_layer": 2, "n_embd": 96, "n_head": 3, "n_inner": 128},
    {"n_layer": 4, "n_embd": 128, "n_head": 16, "vocab_size": 1000},
]


def reference(model: SantaCoder) -> GPTBigCodeForCausalLM:
    config = GPTBigCodeConfig(**model.config.to_transformers(eos_token_id=0, dtype="float32"))
    twin = GPTBigCodeForCausalLM(config).eval()
    missing, unexpected = twin.load_state_dict(model.state_dict(), strict=False)
    assert missing == ["lm_head.weight"] and not unexpected
    twin.tie_weights()
    return twin


@pytest.mark.parametrize("multi_query", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("batch_size,length", [(1, 1), (2, 33), (3, 128)])
@torch.no_grad()
def test_logits_equal_transformers(shape: dict, multi_query: bool, batch_size: int, length: int) -> None:
    model = random_model(**shape, multi_query=multi_query)
    input_ids = torch.randint(model.config.vocab_size, (batch_size, length))
    torch.testing.assert_close(model(input_ids), reference(model)(input_ids).logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("multi_query", [True, False])
@torch.no_grad()
def test_logits_with_cache_equal_transformers(multi_query: bool) -> None:
    model = random_model(multi_query=multi_query)
    input_ids = torch.randint(512, (2, 40))
    kv_cache = KVCache.allocate(model.config, batch_size=2)
    # a long chunk, a chunk behind it, then token by token
    chunks = [input_ids[:, :17], input_ids[:, 17:30], *input_ids[:, 30:].split(1, dim=1)]
    cached = torch.cat([model(chunk, kv_cache) for chunk in chunks], dim=1)
    torch.testing.assert_close(cached, reference(model)(input_ids).logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("multi_query", [True, False])
@torch.no_grad()
def test_greedy_tokens_equal_transformers(multi_query: bool) -> None:
    model = random_model(multi_query=multi_query)
    twin = reference(model)
    for length in (1, 7, 60):
        prompt = torch.randint(1, 512, (1, length))
        expected = twin.generate(prompt, max_new_tokens=40, do_sample=False, eos_token_id=None, pad_token_id=0)
        kv_cache = KVCache.allocate(model.config)
        tokens, logits = prompt, model(prompt, kv_cache)
        while tokens.shape[1] < length + 40:
            chosen = logits[:, -1:].argmax(-1)
            tokens = torch.cat([tokens, chosen], dim=1)
            logits = model(chosen, kv_cache)
        assert tokens.tolist() == expected.tolist()


@pytest.mark.parametrize("length", [129, 200, 256])
def test_blocked_attention_and_its_gradient_equal_the_plain_formula(length: int) -> None:
    query = torch.randn(2, 4, length, 16, requires_grad=True)
    key, value = torch.randn(2, 2, length, 16).requires_grad_(True).unbind(1)
    output = _MultiQueryInBlocks.apply(query, key, value)
    scores = (query @ key.unsqueeze(1).transpose(2, 3)) / 4
    hidden = torch.ones(length, length, dtype=torch.bool).triu(1)
    expected = scores.masked_fill(hidden, float("-inf")).softmax(-1) @ value.unsqueeze(1)
    torch.testing.assert_close(output, expected)
    weights = torch.randn_like(output)
    for got, wanted in zip(
        torch.autograd.grad((output * weights).sum(), [query, key, value], retain_graph=True),
        torch.autograd.grad((expected * weights).sum(), [query, key, value]),
        strict=True,
    ):
        torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


def test_the_exact_gelu_of_training_in_bf16_rounds_as_the_approximation_does() -> None:
    mlp = random_model().transformer.h[0].mlp.to(torch.bfloat16)
    inputs = torch.randn(64, 64, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    exact, approximate = mlp.train()(inputs), mlp.eval()(inputs)
    in_fp32 = mlp.float().eval()(inputs.float())
    errors = [(each.float() - in_fp32).square().mean().sqrt() for each in (exact, approximate)]
    assert errors[0] < 1.1 * errors[1]


def test_a_sequence_longer_than_the_positions_is_refused() -> None:
    model = random_model(n_positions=16)
    with pytest.raises(ValueError, match="has 17 tokens, but the model has positions for 16"):
        model(torch.zeros(1, 17, dtype=torch.long))


def test_config_survives_the_way_through_transformers() -> None:
    config = SantaCoderConfig(n_layer=2, n_embd=64, n_head=4, n_inner=100, multi_query=False)
    assert SantaCoderConfig.from_transformers(config.to_transformers(eos_token_id=0, dtype="float32")) == config


@pytest.mark.parametrize(
    "change,sentence",
    [
        ({"model_type": "llama"}, "model_type is 'llama'"),
        ({"activation_function": "relu"}, "activation_function 'relu' is not supported"),
        ({"n_head": 3}, "n_embd must be a multiple of n_head"),
    ],
)
def test_a_config_of_another_architecture_is_refused(change: dict, sentence: str) -> None:
    config = SantaCoderConfig(n_embd=64, n_head=4).to_transformers(eos_token_id=0, dtype="float32")
    with pytest.raises(ValueError, match=sentence):
        SantaCoderConfig.from_transformers({**config, **change})


def test_the_published_shape_has_the_published_size() -> None:
    with torch.device("meta"):
        sizes = {
            mq: sum(p.numel() for p in SantaCoder(SantaCoderConfig(multi_query=mq)).parameters())
            for mq in (True, False)
        }
    assert round(sizes[True] / 1e9, 1) == 1.1
    assert round(sizes[False] / 1e9, 1) == 1.3
