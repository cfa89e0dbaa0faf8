"""Sampling with PyTorch compared with NumPy. The tests run on the CPU; a GPU is used in the same way."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch

from santacoder.device_sampling import choose_rows, score_rows
from santacoder.sampling import Choice, Sampler, SamplingParams, score

VOCABULARY = 300


def random_params(chance: random.Random, seed: int) -> SamplingParams:
    return SamplingParams(
        temperature=chance.choice([0, 0.2, 1.0, 3.0]),
        top_p=chance.choice([1.0, 0.95, 0.5]),
        top_k=chance.choice([0, 1, 7, 1000]),
        min_p=chance.choice([0.0, 0.05, 0.4]),
        temperature_last=chance.random() < 0.5,
        repetition_penalty=chance.choice([1.0, 1.3, 0.8]),
        frequency_penalty=chance.choice([0.0, 0.7, -0.5]),
        presence_penalty=chance.choice([0.0, 1.3]),
        penalty_last_n=chance.choice([None, 5]),
        logprobs_of_sampling=chance.random() < 0.2,
        top_logprobs=chance.choice([0, 3]),
        logit_bias=chance.choice([(), ((5, 3.5), (9, -100.0))]),
        seed=seed,
    )


@pytest.mark.parametrize("seed", range(20))
def test_rows_choose_what_each_would_alone(seed: int) -> None:
    chance = random.Random(seed)
    params = [random_params(chance, number) for number in range(8)]
    alone, together = ([Sampler(each, never=[3, 4], n_prompt=5) for each in params] for _ in range(2))
    contexts = [chance.choices(range(VOCABULARY), k=chance.randint(0, 30)) for _ in params]
    for step in range(10):  # each request's random numbers go on
        logits = np.random.default_rng(1000 * seed + step).normal(0, 3, (8, VOCABULARY)).astype(np.float32)
        expected = [sampler.choose(row, ids) for sampler, row, ids in zip(alone, logits, contexts, strict=True)]
        got = choose_rows(torch.from_numpy(logits), together, contexts)
        assert [choice.id for choice in got] == [choice.id for choice in expected]
        for mine, theirs in zip(got, expected, strict=True):
            assert mine.logprob == pytest.approx(theirs.logprob, abs=1e-4)
            assert [token_id for token_id, _ in mine.top] == [token_id for token_id, _ in theirs.top]
            assert [value for _, value in mine.top] == pytest.approx([value for _, value in theirs.top], abs=1e-4)


def test_a_row_that_fails_fails_alone() -> None:
    params = [SamplingParams(temperature=1.0, seed=seed, repetition_penalty=1.2) for seed in range(3)]
    logits = np.random.default_rng(0).normal(0, 3, (3, VOCABULARY)).astype(np.float32)
    logits[2, 7] = np.nan
    contexts = [[1], [VOCABULARY], [2]]
    first, second, third = choose_rows(torch.from_numpy(logits), [Sampler(each) for each in params], contexts)
    assert isinstance(first, Choice) and first.id == Sampler(params[0]).choose(logits[0], [1]).id
    assert isinstance(second, IndexError) and isinstance(third, ArithmeticError)


def test_top_k_may_be_any_number() -> None:
    params = [SamplingParams(temperature=1.0, seed=seed, top_k=top_k) for seed, top_k in enumerate((10**310, 2))]
    logits = np.random.default_rng(0).normal(0, 3, (2, VOCABULARY)).astype(np.float32)
    expected = [Sampler(each).choose(row, []).id for each, row in zip(params, logits, strict=True)]
    choices = choose_rows(torch.from_numpy(logits), [Sampler(each) for each in params], [[], []])
    assert [choice.id for choice in choices] == expected


def test_draws_follow_the_distribution() -> None:
    logits = torch.tensor([[2.0, 1.5, 1.0, 0.5, 0.0, -0.2, -1.0, -30.0]])
    sampler = Sampler(SamplingParams(temperature=0.7, top_p=1.0, seed=3))
    counts = np.zeros(8)
    for _ in range(100):
        for choice in choose_rows(logits.repeat(1000, 1), [sampler] * 1000, [[]] * 1000):
            counts[choice.id] += 1
    expected = (logits[0].double() / 0.7).softmax(-1).numpy() * 100_000
    likely = expected > 5
    # the 0.999 quantile of a chi-square distribution with 6 degrees of freedom
    assert ((counts - expected)[likely] ** 2 / expected[likely]).sum() < 22.5
    assert counts[~likely].sum() < 5


@pytest.mark.parametrize("temperature", [1e-9, 1e-300])
def test_almost_no_temperature_is_greedy(temperature: float) -> None:
    logits = torch.tensor([[0.0, 1.0, 0.999]])
    assert choose_rows(logits, [Sampler(SamplingParams(temperature=temperature, seed=0))], [[]])[0].id == 1


def test_given_tokens_are_scored_alike() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (5, VOCABULARY)).astype(np.float32)
    ids = [4, 8, 15, 16, 23]
    for top_logprobs in (0, 5):
        got = score_rows(torch.from_numpy(logits), torch.tensor(ids), [top_logprobs] * 5)
        expected = [score(row, token_id, top_logprobs) for row, token_id in zip(logits, ids, strict=True)]
        for mine, theirs in zip(got, expected, strict=True):
            assert mine.id == theirs.id and mine.logprob == pytest.approx(theirs.logprob, abs=1e-4)
            assert [token_id for token_id, _ in mine.top] == [token_id for token_id, _ in theirs.top]


def test_no_tokens_have_no_scores() -> None:
    assert score_rows(torch.empty(0, VOCABULARY), torch.empty(0, dtype=torch.int64), []) == []


def test_biases_of_one_token_are_added_up_and_may_leave_something() -> None:
    logits = np.array([[5.0, 1.0, 1.0]], dtype=np.float32)
    twice = SamplingParams(temperature=0, logit_bias=((1, 3.0), (1, 3.0)))
    assert Sampler(twice).choose(logits[0], []).id == 1
    [choice] = choose_rows(torch.from_numpy(logits), [Sampler(twice)], [[]])
    assert isinstance(choice, Choice) and choice.id == 1
    none = SamplingParams(temperature=1.0, top_p=0.9, logit_bias=tuple((token, -math.inf) for token in range(2)))
    sampler = Sampler(none, never=[2])
    with pytest.raises(ArithmeticError, match="logit_bias excludes every token"):
        sampler.choose(logits[0], [])
    [failure] = choose_rows(torch.from_numpy(logits), [sampler], [[]])
    assert isinstance(failure, ArithmeticError) and "excludes every token" in str(failure)
