"""Test vectors for random numbers and for the sampler."""

from __future__ import annotations

from typing import Any

import numpy as np

from santacoder.sampling import Sampler, SamplingParams
from tests.web.noise import noise

VOCABULARY = 300
DRAWS = 4


def random_numbers() -> list[Any]:
    """Seeds, and the first numbers that NumPy draws with each."""
    seeds = [0, 1, 2, 42, 1234567, 2**31, 2**32 - 1]
    return [{"seed": seed, "numbers": np.random.default_rng(seed).random(5).tolist()} for seed in seeds]


def logits_of(kind: str, seed: int, size: int = VOCABULARY) -> np.ndarray:
    """[V] float32. ``ties`` have few different values, ``limited`` ones are minus infinity for two thirds of the
    tokens, ``peaked`` ones have a likely token."""
    logits = noise(seed, size) * 4
    if kind == "ties":
        return np.floor(logits)
    if kind == "limited":
        logits[np.arange(size) % 3 != 0] = -np.inf
    if kind == "peaked":
        logits[seed % size] += 8
    return logits


SETTINGS: list[dict[str, Any]] = [
    {},
    {"temperature": 0.0},
    {"temperature": 1.0, "top_p": 1.0},
    {"temperature": 0.8},
    {"temperature": 5.0, "top_p": 0.6},
    {"temperature": 1e-7},
    {"temperature": 1.0, "top_k": 1},
    {"temperature": 1.0, "top_k": 40, "top_p": 1.0},
    {"temperature": 1.3, "top_k": 100, "top_p": 0.9},
    {"temperature": 1.0, "top_k": 1000, "top_p": 0.5},
    {"temperature": 1.0, "top_p": 0.01},
    {"temperature": 1.0, "top_p": 0.999},
    {"temperature": 1.5, "top_p": 1.0, "min_p": 0.1},
    {"temperature": 2.0, "min_p": 0.3, "temperature_last": True},
    {"temperature": 0.7, "top_k": 20, "temperature_last": True},
    {"temperature": 1.0, "repetition_penalty": 1.3},
    {"temperature": 0.0, "repetition_penalty": 0.2},
    {"temperature": 1.0, "repetition_penalty": 2.0, "penalty_last_n": 3},
    {"temperature": 1.0, "frequency_penalty": 1.5, "presence_penalty": 0.7},
    {"temperature": 0.0, "frequency_penalty": -2.0},
    {"temperature": 1.0, "frequency_penalty": 0.4, "presence_penalty": -1.1, "penalty_last_n": 8},
    {"temperature": 1.0, "logit_bias": [[3, 9.5], [4, -100.0], [7, 8.25]]},
    {"temperature": 0.0, "logit_bias": [[12, 100.0]]},
]


def sampler_choices() -> list[Any]:
    """Settings, and the choices of several draws with each."""
    return [
        _choices({"seed": index, "top_logprobs": 3, **settings}, kind, 100 * index + place)
        for index, settings in enumerate(SETTINGS)
        for place, kind in enumerate(("plain", "ties", "limited", "peaked"))
    ] + [_choices({"seed": 9, "temperature": 1.0, "top_p": top_p}, "plain", 7, 49280) for top_p in (0.9, 1.0)]


def _choices(settings: dict[str, Any], kind: str, first_row: int, size: int = VOCABULARY) -> dict[str, Any]:
    biases = tuple((token_id, bias) for token_id, bias in settings.get("logit_bias", []))
    never, n_prompt = [5, 6], 4
    context = [first_row % size, 12, 0, 11, 12, 3, 7, 12]
    sampler = Sampler(SamplingParams(**{**settings, "logit_bias": biases}), never=never, n_prompt=n_prompt)
    choices = []
    for draw in range(DRAWS):
        choice = sampler.choose(logits_of(kind, first_row + draw, size), context)
        context.append(choice.id)
        choices.append([choice.id, round(choice.logprob, 5), [[id_, round(each, 5)] for id_, each in choice.top]])
    return {
        "settings": settings,
        "kind": kind,
        "first_row": first_row,
        "size": size,
        "never": never,
        "n_prompt": n_prompt,
        "context": context[:-DRAWS],
        "choices": choices,
    }
