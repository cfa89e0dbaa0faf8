"""Sampling for several rows at once with PyTorch, on the device of the logits; equivalent to ``sampling.py``.

Only the chosen ids and the reported log-probabilities are copied from a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from santacoder.sampling import NOTHING_LEFT, Choice, Sampler, require_finite

_Numbers = tuple[float, float, int, float, float, float]
"""Temperature, the temperature for truncation, top-k, top-p, min-p and a random number between 0 and 1."""


def choose_rows(
    logits: Tensor, samplers: Sequence[Sampler], contexts: Sequence[Sequence[int]]
) -> list[Choice | Exception]:
    """Choose the next token of each row of ``logits`` [N, V] float32 with its sampler, given its context.

    The result is that of :meth:`Sampler.choose`, up to rounding, or the exception that it would raise.
    """
    scores = logits.clone()
    drawing: dict[int, _Numbers] = {}
    failed: dict[int, Exception] = {}
    apart: dict[int, Choice] = {}
    for row, (sampler, context) in enumerate(zip(samplers, contexts, strict=True)):
        try:
            if sampler.params.logprobs_of_sampling:  # rarely requested, so the row may be copied to the CPU
                apart[row] = sampler.choose(logits[row].cpu().numpy(), context)
                continue
            _adjust(scores[row], sampler, context)
            if sampler.params.temperature > 0:
                drawing[row] = _numbers(sampler, scores.shape[1])
        except Exception as error:
            failed[row] = error
    ids = scores.argmax(dim=-1)
    if drawing:
        ids[list(drawing)] = _draw(scores[list(drawing)], list(drawing.values()))
    choices = score_rows(logits, ids, [sampler.params.top_logprobs for sampler in samplers])
    return [failed.get(row) or apart.get(row) or _checked(choice) for row, choice in enumerate(choices)]


def score_rows(logits: Tensor, ids: Tensor, top_logprobs: Sequence[int]) -> list[Choice]:
    """Score ``ids`` [N] as if they had been chosen from ``logits`` [N, V] float32."""
    if not top_logprobs:  # topk of no rows needs a number, too
        return []
    log_sums = logits.logsumexp(dim=-1, keepdim=True)
    logprobs = logits.gather(1, ids[:, None]) - log_sums
    top = logits.topk(max(top_logprobs), dim=-1)
    top_ids, top_values = top.indices.tolist(), (top.values - log_sums).tolist()
    return [
        Choice(token_id, logprob, _possible(top_ids[row][:count], top_values[row][:count]), logprob)
        for row, (token_id, (logprob,), count) in enumerate(
            zip(ids.tolist(), logprobs.tolist(), top_logprobs, strict=True)
        )
    ]


def _possible(ids: Sequence[int], logprobs: Sequence[float]) -> tuple[tuple[int, float], ...]:
    """Pairs of ids and log-probabilities, without excluded tokens."""
    return tuple((id_, logprob) for id_, logprob in zip(ids, logprobs, strict=True) if logprob > -math.inf)


def _adjust(scores: Tensor, sampler: Sampler, context: Sequence[int]) -> None:
    """Apply bias, penalties and exclusions to one row, in place."""
    params = sampler.params
    if sampler.bias:
        ids, bias = zip(*sampler.bias.items(), strict=True)
        scores[list(ids)] += torch.tensor(bias, dtype=scores.dtype, device=scores.device)
    if params.repetition_penalty != 1.0:
        seen = torch.tensor(sorted(set(sampler.repeatable(context))), dtype=torch.int64, device=scores.device)
        before = scores[seen]
        scores[seen] = torch.where(before < 0, before * params.repetition_penalty, before / params.repetition_penalty)
    penalised, penalties = sampler.penalties(context)
    if len(penalised):
        scores[torch.from_numpy(penalised).to(scores.device)] -= torch.from_numpy(penalties).to(scores.device)
    if sampler.never:
        scores[sampler.never] = -torch.inf
    if sampler.bias and scores.max() == -torch.inf:
        raise ArithmeticError(NOTHING_LEFT)


def _checked(choice: Choice) -> Choice | Exception:
    try:
        return require_finite(choice)
    except ArithmeticError as error:
        return error


def _draw(scores: Tensor, rows: Sequence[_Numbers]) -> Tensor:
    """Draw an id per row, from the weights that remain after top-k, top-p and min-p, in the order of ids."""
    temperature, deciding, top_k, top_p, min_p, draws = (
        torch.tensor(column, dtype=torch.float64, device=scores.device)[:, None] for column in zip(*rows, strict=True)
    )
    highest = scores.amax(dim=-1, keepdim=True)
    relative = (scores - highest).double()
    descending, order = (relative / deciding).exp().sort(dim=-1, descending=True, stable=True)
    ranks = torch.arange(scores.shape[1], device=scores.device)
    descending = descending.where((top_k == 0) | (ranks < top_k), 0)
    before = descending.cumsum(dim=-1) - descending
    descending = descending.where(before < top_p * descending.sum(dim=-1, keepdim=True), 0)
    descending = descending.where(descending >= min_p, 0)  # the most likely token has the weight 1
    weights = (relative.gather(1, order) / temperature).exp().where(descending > 0, 0)
    cumulative = torch.zeros_like(weights).scatter(1, order, weights).cumsum(dim=-1)
    total = cumulative[:, -1:]
    drawn = (cumulative <= draws * total).sum(dim=-1)
    last = (cumulative < total).sum(dim=-1)
    return torch.minimum(drawn, last)


def _numbers(sampler: Sampler, vocab_size: int) -> _Numbers:
    params = sampler.params
    deciding = 1.0 if params.temperature_last else params.temperature
    top_k = min(params.top_k, vocab_size)  # no tensor holds a number of any length
    return params.temperature, deciding, top_k, params.top_p, params.min_p, sampler.draw()
