"""Tokens from logits: in NumPy on a CPU, in PyTorch if the logits are on a GPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from santacoder import device_sampling, sampling
from santacoder.engine.runner import Logits
from santacoder.sampling import Choice, RowSums, Sampler


def choose(
    logits: Logits,
    samplers: Sequence[Sampler],
    contexts: Sequence[Sequence[int]],
    agreeing: Sequence[np.ndarray | None],
) -> list[Choice | Exception]:
    """The next token of each row of ``logits`` [N, V], sampled by the row's sampler, given its context. If ``agreeing``
    ids are given for a row, only those are sampled. A row that fails has its exception as the result."""
    logits = _limited(logits, agreeing)
    if isinstance(logits, torch.Tensor):
        return device_sampling.choose_rows(logits, samplers, contexts)
    rows = zip(logits, samplers, contexts, sampling.row_sums(logits), strict=True)
    return [_choice(sampler, row, context, sums) for row, sampler, context, sums in rows]


def _limited(logits: Logits, agreeing: Sequence[np.ndarray | None]) -> Logits:
    """``logits``, copied with minus infinity for tokens that do not agree."""
    rows = [(row, ids) for row, ids in enumerate(agreeing) if ids is not None]
    if not rows:
        return logits
    if isinstance(logits, torch.Tensor):
        limited = logits.clone()
        for row, ids in rows:
            on_device = torch.from_numpy(ids).to(logits.device)
            limited[row] = -torch.inf
            limited[row, on_device] = logits[row, on_device]
        return limited
    copied = logits.copy()
    for row, ids in rows:
        copied[row] = -np.inf
        copied[row, ids] = logits[row, ids]
    return copied


def foresee(row: Logits, token_id: int, behind: Logits, agreeing: np.ndarray) -> Logits:
    """``row`` [1, V] with the logit of ``token_id`` lowered by the log-probability that one of ``agreeing`` follows it,
    under ``behind`` [V], the logits after that token."""
    on_device = torch.as_tensor(behind).double()
    share = on_device[torch.from_numpy(agreeing).to(on_device.device)].logsumexp(0) - on_device.logsumexp(0)
    lowered = row.clone() if isinstance(row, torch.Tensor) else row.copy()
    lowered[0, token_id] += float(share)
    return lowered


def score(logits: Logits, token_ids: Sequence[int], top_logprobs: int) -> list[Choice]:
    """Scores of given tokens, one for each row of ``logits`` [N, V], as if they had been sampled.

    Raises:
        ArithmeticError: the logits are not finite.
    """
    if isinstance(logits, torch.Tensor):
        ids = torch.tensor(token_ids, dtype=torch.int64, device=logits.device)
        choices = device_sampling.score_rows(logits, ids, [top_logprobs] * len(token_ids))
        return [sampling.require_finite(choice) for choice in choices]
    return [sampling.score(row, token_id, top_logprobs) for row, token_id in zip(logits, token_ids, strict=True)]


def _choice(sampler: Sampler, logits: np.ndarray, context: Sequence[int], sums: RowSums) -> Choice | Exception:
    try:
        return sampler.choose(logits, context, sums)
    except Exception as error:
        return error
