"""Sampling compared with transformers' logits processors and with the expected distribution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from santacoder.sampling import Sampler, SamplingParams, candidates, penalise

logits_lists = st.lists(st.floats(-20, 20, width=32), min_size=2, max_size=60, unique=True)


# the penalty makes two of them equal, of which one is among the highest
@example(values=[1.0, -5.0, 0.5], temperature=1.0, top_k=1, top_p=0.9, min_p=0.0, penalty=2.0, last=False)
@given(
    values=logits_lists,
    temperature=st.floats(0.05, 3),
    top_k=st.integers(0, 70),
    top_p=st.floats(0.05, 0.99),
    min_p=st.just(0.0) | st.floats(0.001, 0.9),
    penalty=st.floats(0.5, 2),
    last=st.booleans(),
)
def test_candidates_equal_transformers(
    values: list[float], temperature: float, top_k: int, top_p: float, min_p: float, penalty: float, last: bool
) -> None:
    context = [0, 1, 0]
    processors = LogitsProcessorList([TopPLogitsWarper(top_p), MinPLogitsWarper(min_p)])
    if top_k:
        processors.insert(0, TopKLogitsWarper(top_k))
    processors.insert(len(processors) if last else 0, TemperatureLogitsWarper(temperature))
    processors.insert(0, RepetitionPenaltyLogitsProcessor(penalty))
    expected = processors(torch.tensor([context]), torch.tensor([values], dtype=torch.float64))[0].softmax(-1).numpy()
    scores = np.array(values, dtype=np.float64)
    penalise(scores, context, penalty)
    ids, weights = candidates(scores, temperature, top_k, top_p, min_p, temperature_last=last)
    got = np.zeros(len(values))
    got[ids] = weights / weights.sum()
    if not _at_the_edge(torch.tensor(scores) / (1 if last else temperature), top_k, top_p, min_p):
        # which of two equally likely tokens is kept, rounding may decide
        np.testing.assert_allclose(np.sort(got), np.sort(expected), atol=1e-6)
        assert scores[ids].min() >= np.delete(scores, ids).max(initial=-np.inf) - 1e-6


def _at_the_edge(scores: torch.Tensor, top_k: int, top_p: float, min_p: float) -> bool:
    """Whether rounding decides which tokens have ``top_p`` or ``min_p``, or two tokens at the limit of ``top_k`` are
    equal, in which case transformers keeps both.
    """
    descending = scores.sort(descending=True).values
    if 0 < top_k < len(descending) and np.isclose(descending[top_k - 1], descending[top_k], atol=1e-6):
        return True
    if min_p and np.isclose((descending - descending[0]).exp(), min_p, atol=1e-6).any():
        return True
    highest = descending[: top_k or None]
    return bool(np.isclose(highest.softmax(-1).cumsum(-1), top_p, atol=1e-6).any())


@pytest.mark.parametrize("temperature,top_k,top_p", [(1.0, 0, 1.0), (0.7, 6, 0.95)])
def test_draws_follow_the_distribution(temperature: float, top_k: int, top_p: float) -> None:
    logits = np.array([2.0, 1.5, 1.0, 0.5, 0.0, -0.2, -1.0, -30.0], dtype=np.float32)
    sampler = Sampler(SamplingParams(temperature=temperature, top_k=top_k, top_p=top_p, seed=3))
    counts = np.bincount([sampler.choose(logits, []).id for _ in range(20_000)], minlength=len(logits))
    warpers = LogitsProcessorList([TemperatureLogitsWarper(temperature)])
    if top_k:
        warpers += [TopKLogitsWarper(top_k), TopPLogitsWarper(top_p)]
    scores = warpers(torch.zeros(1, 1, dtype=torch.long), torch.tensor(logits).double()[None])
    expected = scores[0].softmax(-1).numpy() * 20_000
    likely = expected > 5  # the usual condition for a cell of the test
    chi_square = ((counts - expected)[likely] ** 2 / expected[likely]).sum()
    assert (
        chi_square < {5: 18.47, 6: 20.52, 7: 22.46}[int(likely.sum())]
    )  # p = 0.001 with one degree of freedom less than cells
    assert counts[~likely].sum() == 0


def test_a_flat_distribution_over_many_tokens_keeps_the_nucleus_whole() -> None:
    scores = np.random.default_rng(0).normal(scale=0.1, size=50_000).astype(np.float32)
    ids, weights = candidates(scores, 1.0, 0, 0.9)
    in_order = np.argsort(-scores, kind="stable")
    softmax = torch.tensor(scores).double().softmax(-1).numpy()
    count = int(np.searchsorted(np.cumsum(softmax[in_order]), 0.9)) + 1
    assert abs(len(ids) - count) <= 1
    assert ids.tolist() == sorted(in_order[: len(ids)].tolist())
    np.testing.assert_allclose(weights / weights.sum(), softmax[ids] / softmax[ids].sum(), rtol=1e-5)


@pytest.mark.parametrize("top_p,expected", [(0.2, [1]), (0.5, [1, 2]), (0.8, [1, 2, 4]), (1.0, [0, 1, 2, 4])])
def test_of_equally_likely_tokens_the_first_are_kept(top_p: float, expected: list[int]) -> None:
    scores = torch.tensor([0.1, 0.3, 0.3, 0.0, 0.3]).log().numpy()
    assert candidates(scores, 1.0, 0, top_p)[0].tolist() == expected


@given(
    context=st.lists(st.integers(0, 9), max_size=30),
    n_prompt=st.integers(0, 30),
    frequency=st.floats(-2, 2),
    presence=st.floats(-2, 2),
)
def test_penalties_follow_openais_formula(context: list[int], n_prompt: int, frequency: float, presence: float) -> None:
    params = SamplingParams(temperature=0, frequency_penalty=frequency, presence_penalty=presence)
    logits = np.linspace(0, 1, 10, dtype=np.float32)
    written = context[n_prompt:]
    expected = [
        logits[token] - written.count(token) * frequency - (written.count(token) > 0) * presence for token in range(10)
    ]
    got = logits.copy()
    ids, penalties = Sampler(params, n_prompt=n_prompt).penalties(context)
    got[ids] -= penalties
    assert got == pytest.approx(np.array(expected), abs=1e-4)
    chosen = Sampler(params, n_prompt=n_prompt).choose(logits, context)
    assert expected[chosen.id] == pytest.approx(max(expected), abs=1e-4)
    assert chosen.logprob == pytest.approx(torch.tensor(logits).log_softmax(-1)[chosen.id].item(), abs=1e-5)


def test_a_token_ruled_out_is_never_chosen() -> None:
    logits = np.array([5.0, 1.0, 1.0], dtype=np.float32)
    greedy = Sampler(SamplingParams(temperature=0), never=[0]).choose(logits, [])
    assert greedy.id == 1
    assert greedy.logprob == pytest.approx(torch.tensor(logits).log_softmax(-1)[1].item(), abs=1e-6)
    sampler = Sampler(SamplingParams(temperature=1.0, top_p=1.0, seed=0), never=[0])
    assert {sampler.choose(logits, []).id for _ in range(200)} == {1, 2}


@pytest.mark.parametrize("temperature", [0, 1e-50])
def test_temperature_zero_takes_the_likeliest(temperature: float) -> None:
    sampler = Sampler(SamplingParams(temperature=temperature))
    assert sampler.choose(np.array([0.1, 3.0, 2.9], dtype=np.float32), []).id == 1


def test_log_probabilities_are_those_of_the_model() -> None:
    logits = np.random.default_rng(0).normal(size=50).astype(np.float32)
    choice = Sampler(SamplingParams(temperature=0.3, top_k=2, top_logprobs=5)).choose(logits, [])
    expected = torch.tensor(logits).double().log_softmax(-1)
    assert choice.logprob == pytest.approx(expected[choice.id].item(), abs=1e-6)
    values, ids = expected.topk(5)
    assert [token_id for token_id, _ in choice.top] == ids.tolist()
    assert [logprob for _, logprob in choice.top] == pytest.approx(values.tolist(), abs=1e-6)


def test_a_drawn_seed_repeats_the_draws() -> None:
    logits = np.zeros(1000, dtype=np.float32)
    first = Sampler(SamplingParams(temperature=1.0))
    again = Sampler(SamplingParams(temperature=1.0, seed=first.seed))
    assert [first.choose(logits, []).id for _ in range(20)] == [again.choose(logits, []).id for _ in range(20)]


@pytest.mark.parametrize(
    "values,sentence",
    [
        ({"temperature": -1}, "temperature must be between 0 and 5, not -1"),
        ({"temperature": float("nan")}, "temperature must be"),
        ({"top_p": 0}, "top_p must be above 0"),
        ({"top_p": 1.5}, "top_p must be"),
        ({"top_k": -1}, "top_k must be"),
        ({"max_new_tokens": -1}, "max_new_tokens must not be negative"),
        ({"logit_bias": ((3, 101.0),)}, "a logit_bias must be between -100 and 100"),
        ({"min_p": 1.5}, "min_p must be between 0"),
        ({"frequency_penalty": 3}, "frequency_penalty must be between -2 and 2, not 3"),
        ({"presence_penalty": float("nan")}, "presence_penalty must be"),
        ({"min_logprob": 0.5}, "min_logprob must not be above 0"),
        ({"repetition_penalty": 0}, "repetition_penalty must be"),
        ({"seed": -5}, "seed must be between"),
        ({"seed": 2**40}, "seed must be between"),
        ({"stop": ("a", "")}, "stop sequences must not be empty"),
        ({"top_logprobs": 100}, "top_logprobs must be"),
    ],
)
def test_values_out_of_range_are_sentences(values: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        SamplingParams(**values)
