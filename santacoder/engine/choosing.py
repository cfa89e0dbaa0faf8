"""Tokens from logits, by NumPy on a CPU and by PyTorch where a GPU has them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from santacoder import device_sampling, sampling
from santacoder.engine.runner import Logits
from santacoder.sampling import Choice, Sampler


def choose(logits: Logits, samplers: Sequence[Sampler], contexts: Sequence[Sequence[int]]) -> list[Choice]:
    """The next token of each row of ``logits`` [N, V], by its sampler, after its context."""
    if isinstance(logits, torch.Tensor):
        return device_sampling.choose_rows(logits, samplers, contexts)
    rows = zip(logits, samplers, contexts, strict=True)
    return [sampler.choose(row, context) for row, sampler, context in rows]


def score(logits: Logits, token_ids: Sequence[int], top_logprobs: int) -> list[Choice]:
    """Given tokens, one for each row of ``logits`` [N, V], as if they had been chosen."""
    if isinstance(logits, torch.Tensor):
        ids = torch.tensor(token_ids, dtype=torch.int64, device=logits.device)
        return device_sampling.score_rows(logits, ids, [top_logprobs] * len(token_ids))
    return [sampling.score(row, token_id, top_logprobs) for row, token_id in zip(logits, token_ids, strict=True)]
