"""Tokens from logits, by NumPy on a CPU and by PyTorch where a GPU has them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from santacoder import device_sampling, sampling
from santacoder.engine.runner import Logits
from santacoder.sampling import Choice, Sampler


def choose(logits: Logits, samplers: Sequence[Sampler], contexts: Sequence[Sequence[int]]) -> list[Choice | Exception]:
    """The next token of each row of ``logits`` [N, V], by its sampler, after its context; what went wrong in a row
    stands in its place."""
    if isinstance(logits, torch.Tensor):
        return device_sampling.choose_rows(logits, samplers, contexts)
    rows = zip(logits, samplers, contexts, strict=True)
    return [_choice(sampler, row, context) for row, sampler, context in rows]


def score(logits: Logits, token_ids: Sequence[int], top_logprobs: int) -> list[Choice]:
    """Given tokens, one for each row of ``logits`` [N, V], as if they had been chosen.

    Raises:
        ArithmeticError: the logits are not finite.
    """
    if isinstance(logits, torch.Tensor):
        ids = torch.tensor(token_ids, dtype=torch.int64, device=logits.device)
        choices = device_sampling.score_rows(logits, ids, [top_logprobs] * len(token_ids))
        return [sampling.require_finite(choice) for choice in choices]
    return [sampling.score(row, token_id, top_logprobs) for row, token_id in zip(logits, token_ids, strict=True)]


def _choice(sampler: Sampler, logits: np.ndarray, context: Sequence[int]) -> Choice | Exception:
    try:
        return sampler.choose(logits, context)
    except Exception as error:
        return error
