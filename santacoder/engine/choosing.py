"""Tokens from logits: in NumPy on a CPU, in PyTorch if the logits are on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from santacoder import sampling
from santacoder.engine.runner import Logits
from santacoder.sampling import Choice, RowSums, Sampler

if TYPE_CHECKING:
    from torch import Tensor


def choose(
    logits: Logits,
    samplers: Sequence[Sampler],
    contexts: Sequence[Sequence[int]],
    agreeing: Sequence[np.ndarray | None],
) -> list[Choice | Exception]:
    """The next token of each row of ``logits`` [N, V], sampled by the row's sampler, given its context. If ``agreeing``
    ids are given for a row, only those are sampled. A row that fails has its exception as the result."""
    if not isinstance(logits, np.ndarray):
        from santacoder import device_sampling

        return device_sampling.choose_rows(_limited_tensor(logits, agreeing), samplers, contexts)
    logits = _limited(logits, agreeing)
    rows = zip(logits, samplers, contexts, sampling.row_sums(logits), strict=True)
    return [_choice(sampler, row, context, sums) for row, sampler, context, sums in rows]


def _limited(logits: np.ndarray, agreeing: Sequence[np.ndarray | None]) -> np.ndarray:
    """``logits``, copied with minus infinity for tokens that do not agree."""
    rows = [(row, ids) for row, ids in enumerate(agreeing) if ids is not None]
    if not rows:
        return logits
    limited = logits.copy()
    for row, ids in rows:
        limited[row] = -np.inf
        limited[row, ids] = logits[row, ids]
    return limited


def _limited_tensor(logits: Tensor, agreeing: Sequence[np.ndarray | None]) -> Tensor:
    """As ``_limited``, on the device of ``logits``."""
    import torch

    rows = [(row, ids) for row, ids in enumerate(agreeing) if ids is not None]
    if not rows:
        return logits
    limited = logits.clone()
    for row, ids in rows:
        on_device = torch.from_numpy(ids).to(logits.device)
        limited[row] = -torch.inf
        limited[row, on_device] = logits[row, on_device]
    return limited


def foresee(row: Logits, token_id: int, behind: Logits, agreeing: np.ndarray) -> Logits:
    """``row`` [1, V] with the logit of ``token_id`` lowered by the log-probability that one of ``agreeing`` follows it,
    under ``behind`` [V], the logits after that token."""
    scores = (behind if isinstance(behind, np.ndarray) else behind.cpu().numpy()).astype(np.float64)
    lowered = row.copy() if isinstance(row, np.ndarray) else row.clone()
    lowered[0, token_id] += float(_log_sum(scores[agreeing]) - _log_sum(scores))
    return lowered


def _log_sum(scores: np.ndarray) -> np.floating:
    """The logarithm of the sum of the exponentials of finite ``scores``."""
    highest = scores.max()
    return highest + np.log(np.exp(scores - highest).sum())


def score(logits: Logits, token_ids: Sequence[int], top_logprobs: int) -> list[Choice]:
    """Scores of given tokens, one for each row of ``logits`` [N, V], as if they had been sampled.

    Raises:
        ArithmeticError: the logits are not finite.
    """
    if isinstance(logits, np.ndarray):
        return [sampling.score(row, token_id, top_logprobs) for row, token_id in zip(logits, token_ids, strict=True)]
    import torch

    from santacoder import device_sampling

    ids = torch.tensor(token_ids, dtype=torch.int64, device=logits.device)
    choices = device_sampling.score_rows(logits, ids, [top_logprobs] * len(token_ids))
    return [sampling.require_finite(choice) for choice in choices]


def _choice(sampler: Sampler, logits: np.ndarray, context: Sequence[int], sums: RowSums) -> Choice | Exception:
    try:
        return sampler.choose(logits, context, sums)
    except Exception as error:
        return error
