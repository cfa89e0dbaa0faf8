"""Sampling: the choice of the next token from the logits."""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np

from santacoder.errors import UserError

StopAt = Literal["none", "line", "block", "function"]
STOP_AT: tuple[StopAt, ...] = get_args(StopAt)
MAX_SEED = 2**32 - 1
_NOT_FINITE = "the model's outputs are not finite; use another precision"
NOTHING_LEFT = "logit_bias excludes every token that could come next"
# at far lower temperatures, single precision would divide by zero; the most likely token has all the weight long before
_LOWEST_TEMPERATURE = 1e-6
# a fraction of the total that few tokens exceed, and that usually suffices to reach top_p
_LARGE = 3e-4
# rows that stay in the processor's cache
_ROWS_AT_ONCE = 8
MAX_BIASES = 1_024
MAX_STOP_SEQUENCES = 64
MAX_STOP_LENGTH = 256
"""The maximum number of characters of a stop sequence. Every token is compared with all of them."""


@dataclass(frozen=True)
class SamplingParams:
    """How tokens are chosen, and when to stop.

    Args:
        max_new_tokens: maximum number of generated tokens; 0 only prefills the prompt.
        temperature: 0 always takes the most likely token.
        top_p: the fraction of probability to keep; 1 keeps all tokens.
        top_k: the number of most likely tokens to keep; 0 keeps all tokens.
        repetition_penalty: above 1, tokens of the prompt and of the output become less likely (Keskar et al., arXiv
            1909.05858).
        seed: the same seed gives the same text; without one, a random seed is used and reported.
        stop: sequences before which the text ends.
        top_logprobs: number of alternatives reported with each token.
        logit_bias: pairs of a token id and a number that is added to its logit; minus infinity bans the token.
        min_p: drops tokens less likely than this fraction of the most likely one's probability (Nguyen et al., arXiv
            2407.01082).
        temperature_last: apply temperature after top_k, top_p and min_p, as in llama.cpp, not before them.
        frequency_penalty: subtracted from a token's logit once for each time it occurs in the output, as in OpenAI's
            API.
        presence_penalty: subtracted once from the logits of tokens in the output, as in OpenAI's API.
        penalty_last_n: apply all three penalties to this number of last tokens, including those of the prompt, as in
            llama.cpp.
        ignore_eos: never choose a token that would end the text.
        min_logprob: end the text before a token with a lower log-probability under the model, in nats.
        token_healing: allow the end of a text prompt to be removed and generated again (``engine/token_healing.py``);
            not for prompts of token ids, and not with an echo.
        logprobs_of_sampling: report log-probabilities after temperature and truncation, of the tokens that can be
            drawn.
        stop_at: end the text with the current line, block or function.
        stop_repetition: end the text when it begins to repeat itself, and sample no white-space token twice while the
            text is blank.

    Raises:
        UserError: a value is out of range; the message is a sentence for the user.
    """

    max_new_tokens: int = 64
    temperature: float = 0.2
    top_p: float = 0.95
    top_k: int = 0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    top_logprobs: int = 0
    logit_bias: tuple[tuple[int, float], ...] = ()
    min_p: float = 0.0
    temperature_last: bool = False
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    penalty_last_n: int | None = None
    ignore_eos: bool = False
    min_logprob: float | None = None
    token_healing: bool = False
    logprobs_of_sampling: bool = False
    stop_at: StopAt = "none"
    stop_repetition: bool = False

    def __post_init__(self) -> None:
        _require(self.max_new_tokens >= 0, "max_new_tokens must not be negative", self.max_new_tokens)
        _require(0 <= self.temperature <= 5, "temperature must be between 0 and 5", self.temperature)
        _require(0 < self.top_p <= 1, "top_p must be above 0 and at most 1", self.top_p)
        _require(self.top_k >= 0, "top_k must be 0 (off) or more", self.top_k)
        _require(
            0.1 <= self.repetition_penalty <= 10,
            "repetition_penalty must be between 0.1 and 10",
            self.repetition_penalty,
        )
        _require(0 <= self.min_p <= 1, "min_p must be between 0 (off) and 1", self.min_p)
        for name in ("frequency_penalty", "presence_penalty"):
            _require(-2 <= getattr(self, name) <= 2, f"{name} must be between -2 and 2", getattr(self, name))
        _require(self.min_logprob is None or self.min_logprob <= 0, "min_logprob must not be above 0", self.min_logprob)
        _require(self.seed is None or 0 <= self.seed <= MAX_SEED, f"seed must be between 0 and {MAX_SEED}", self.seed)
        _require(0 <= self.top_logprobs <= 20, "top_logprobs must be between 0 and 20", self.top_logprobs)
        n_stop, n_biases = len(self.stop), len(self.logit_bias)
        _require(n_stop <= MAX_STOP_SEQUENCES, f"there may be at most {MAX_STOP_SEQUENCES} stop sequences", n_stop)
        _require(all(self.stop), "stop sequences must not be empty", list(self.stop))
        longest = max(map(len, self.stop), default=0)
        _require(longest <= MAX_STOP_LENGTH, f"a stop sequence has at most {MAX_STOP_LENGTH} characters", longest)
        _require(n_biases <= MAX_BIASES, f"there may be at most {MAX_BIASES:,} tokens in logit_bias", n_biases)
        for token_id, bias in self.logit_bias:
            _require(token_id >= 0, "logit_bias must name token ids", token_id)
            _require(-100 <= bias <= 100 or bias == -math.inf, "a logit_bias must be between -100 and 100", bias)
        last_n = self.penalty_last_n
        _require(last_n is None or last_n > 0, "penalty_last_n must be above 0", last_n)
        _require(self.stop_at in STOP_AT, f"stop_at must be one of {', '.join(STOP_AT)}", self.stop_at)


class RowSums(NamedTuple):
    """The most likely token of a row of logits, and the logarithm of the sum of their exponentials."""

    likeliest: int
    log_sum: float


class Choice(NamedTuple):
    """A chosen token, its log-probability and those of the most likely tokens, and its log-probability under the model
    (before temperature and truncation), which is the same number unless those of sampling are reported.
    """

    id: int
    logprob: float
    top: tuple[tuple[int, float], ...]
    model_logprob: float


class Sampler:
    """Chooses the tokens of one request, excluding those in ``never``, with its own random generator.

    The first ``n_prompt`` tokens of each context are the prompt; only later ones count for penalties on the output.
    """

    def __init__(self, params: SamplingParams, *, never: Iterable[int] = (), n_prompt: int = 0) -> None:
        self.params = params
        self.never = list(never)
        self.n_prompt = n_prompt
        self.set_bias(params.logit_bias)
        self._adjusts = bool(
            params.repetition_penalty != 1.0
            or params.frequency_penalty
            or params.presence_penalty
            or params.logprobs_of_sampling
        )
        self.seed = params.seed if params.seed is not None else secrets.randbelow(MAX_SEED + 1)
        self._random = np.random.default_rng(self.seed)

    def set_bias(self, logit_bias: Iterable[tuple[int, float]]) -> None:
        """Add these numbers to the logits from now on, instead of those of ``params``."""
        self.bias: dict[int, float] = {}  # a token that is named twice has the sum
        for token_id, bias in logit_bias:
            self.bias[token_id] = self.bias.get(token_id, 0.0) + bias
        self._biased, self._bias = list(self.bias), np.array(list(self.bias.values()), dtype=np.float32)

    def choose(self, logits: np.ndarray, context: Sequence[int], sums: RowSums | None = None) -> Choice:
        """Choose the next token after ``context`` from ``logits`` [V] float32. ``sums`` are those of ``logits``.

        Raises:
            ArithmeticError: the logits are not finite.
        """
        params = self.params
        sums = sums or row_sums(logits[None])[0]
        if not math.isfinite(sums.log_sum):
            raise ArithmeticError(_NOT_FINITE)
        if params.temperature == 0 and not (self._biased or self._adjusts) and sums.likeliest not in self.never:
            return _scored(logits, sums.likeliest, sums.log_sum, params.top_logprobs)
        scores = logits.copy()
        if self._biased:
            scores[self._biased] += self._bias
        if params.repetition_penalty != 1.0:
            penalise(scores, self.repeatable(context), params.repetition_penalty)
        ids, penalties = self.penalties(context)
        scores[ids] -= penalties
        scores[self.never] = -np.inf
        if self._biased and scores.max() == -np.inf:
            raise ArithmeticError(NOTHING_LEFT)
        if params.temperature == 0:
            ids, weights = np.array([np.argmax(scores)]), np.ones(1, dtype=np.float32)
            token_id = int(ids[0])
        else:
            ids, weights = candidates(
                scores,
                params.temperature,
                params.top_k,
                params.top_p,
                params.min_p,
                temperature_last=params.temperature_last,
            )
            cumulative = np.cumsum(weights, dtype=np.float64)
            drawn = np.searchsorted(cumulative, self.draw() * cumulative[-1], side="right")
            token_id = int(ids[min(int(drawn), len(ids) - 1)])
        if params.logprobs_of_sampling:
            return _score_drawn(ids, weights, token_id, params.top_logprobs, float(logits[token_id]) - sums.log_sum)
        return _scored(logits, token_id, sums.log_sum, params.top_logprobs)

    def repeatable(self, context: Sequence[int]) -> Sequence[int]:
        """The tokens of ``context`` that the repetition penalty applies to."""
        return context if self.params.penalty_last_n is None else context[-self.params.penalty_last_n :]

    def penalties(self, context: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """The ids of penalised tokens, and what to subtract from the logit of each, float32."""
        params = self.params
        if not (params.frequency_penalty or params.presence_penalty):
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        counted = context[self.n_prompt :] if params.penalty_last_n is None else self.repeatable(context)
        ids, counts = np.unique(np.asarray(counted, dtype=np.int64), return_counts=True)
        return ids, (counts * params.frequency_penalty + params.presence_penalty).astype(np.float32)

    def draw(self) -> float:
        """The next random number of this request, between 0 and 1; greedy decoding uses none."""
        return self._random.random()


def score(logits: np.ndarray, token_id: int, top_logprobs: int) -> Choice:
    """Score ``token_id`` as if it had been chosen from ``logits`` [V] float32.

    Raises:
        ArithmeticError: the logits are not finite.
    """
    return _scored(logits, token_id, row_sums(logits[None])[0].log_sum, top_logprobs)


def row_sums(logits: np.ndarray) -> list[RowSums]:
    """What sampling needs of each row of ``logits`` [N, V] float32, whatever the other rows are."""
    sums: list[RowSums] = []
    for start in range(0, len(logits), _ROWS_AT_ONCE):
        rows = logits[start : start + _ROWS_AT_ONCE]
        likeliest = rows.argmax(axis=1)
        highest = rows[np.arange(len(rows)), likeliest][:, None]
        with np.errstate(invalid="ignore"):  # logits that are not finite are noticed by their sum
            weights = np.exp(rows - highest)
        totals = [float(row.sum()) for row in weights]  # pairwise, so single precision suffices
        for token_id, (high,), total in zip(likeliest.tolist(), highest.tolist(), totals, strict=True):
            sums.append(RowSums(token_id, high + math.log(total)))
    return sums


def _scored(logits: np.ndarray, token_id: int, log_sum: float, top_logprobs: int) -> Choice:
    top = _likeliest(logits, log_sum, top_logprobs) if top_logprobs else ()
    logprob = float(logits[token_id]) - log_sum
    return require_finite(Choice(token_id, logprob, top, logprob))


def require_finite(choice: Choice) -> Choice:
    """Return ``choice`` if it is finite.

    Raises:
        ArithmeticError: it has no finite log-probability, because the logits are not finite.
    """
    if not math.isfinite(choice.logprob):
        raise ArithmeticError(_NOT_FINITE)
    return choice


def candidates(
    scores: np.ndarray,
    temperature: float,
    top_k: int,
    top_p: float,
    min_p: float = 0.0,
    *,
    temperature_last: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """The ids that may be drawn, ascending, and their probabilities, not normalised.

    The steps are those of transformers: temperature, then the ``top_k`` most likely tokens, then the fewest tokens that
    together have ``top_p`` (Holtzman et al., arXiv 1904.09751), then those with at least ``min_p`` of the most likely
    token's probability. With ``temperature_last``, the temperature comes last, as in llama.cpp. The ids are sorted by
    id, not by probability, because rounding could swap nearly equal ones and change the draw.

    Args:
        scores: adjusted logits, [V] float32.
        temperature: above 0.
        top_k: number of tokens to keep; 0 for all.
        top_p: fraction of probability to keep.
        min_p: minimum probability relative to the most likely token.
        temperature_last: apply the temperature last.
    """
    temperature = max(temperature, _LOWEST_TEMPERATURE)
    ids = np.sort(_highest(scores, top_k)) if top_k else None
    relative = (scores if ids is None else scores[ids]) - scores.max()
    weights = np.exp(relative if temperature_last else relative / temperature)
    kept = _nucleus(weights, top_p)
    if min_p:
        kept = kept[weights[kept] >= min_p]  # the most likely token has the weight 1
    weights = np.exp(relative[kept] / temperature) if temperature_last else weights[kept]
    return (kept if ids is None else ids[kept]), weights


def _score_drawn(
    ids: np.ndarray, weights: np.ndarray, token_id: int, top_logprobs: int, model_logprob: float
) -> Choice:
    """Score ``token_id`` among the ``ids`` that could have been drawn with ``weights``."""
    possible = weights > 0
    ids, weights = ids[possible], weights[possible]
    logprobs = np.log(weights / weights.sum(dtype=np.float64))
    likeliest = _highest(logprobs, top_logprobs) if top_logprobs else ()
    drawn = int(np.flatnonzero(ids == token_id)[0])
    top = tuple((int(ids[row]), float(logprobs[row])) for row in likeliest)
    return require_finite(Choice(token_id, float(logprobs[drawn]), top, model_logprob))


def penalise(scores: np.ndarray, context: Sequence[int], penalty: float) -> None:
    """Make the tokens of ``context`` less likely, in place."""
    seen = np.unique(np.asarray(context, dtype=np.int64))
    scores[seen] = np.where(scores[seen] < 0, scores[seen] * penalty, scores[seen] / penalty)


def _nucleus(weights: np.ndarray, top_p: float) -> np.ndarray:
    """Indices, ascending, of the fewest ``weights`` that have ``top_p`` of their sum; of equal ones, the first.

    Only values that can matter are sorted: the large ones, if they reach ``top_p``, otherwise all but those below ``(1
    - top_p) / n`` of the sum, which together cannot make up the rest.
    """
    if top_p == 1:
        return np.flatnonzero(weights)
    total = weights.sum()
    large = weights[weights >= total * _LARGE]
    if large.sum(dtype=np.float64) < top_p * total:
        large = weights[weights >= total * ((1 - top_p) / len(weights))]
    descending = np.sort(large)[::-1]
    before = np.cumsum(descending, dtype=np.float64) - descending
    count = max(1, int(np.searchsorted(before, top_p * total)))
    least = descending[count - 1]
    chosen = np.flatnonzero(weights >= least)
    if len(chosen) > count:
        equal = np.flatnonzero(weights[chosen] == least)
        return np.delete(chosen, equal[count - len(chosen) :])
    return chosen


def _highest(scores: np.ndarray, count: int) -> np.ndarray:
    """Ids of the ``count`` highest scores, in descending order; of equal ones, those with the lower id."""
    if count < len(scores):
        threshold = np.partition(scores, len(scores) - count)[len(scores) - count]
        ids = np.flatnonzero(scores >= threshold)
    else:
        ids = np.arange(len(scores))
    return ids[np.argsort(-scores[ids], kind="stable")][:count]


def _likeliest(logits: np.ndarray, log_sum: float, count: int) -> tuple[tuple[int, float], ...]:
    ids = _highest(logits, count) if count else ()
    # excluded tokens have minus infinity
    return tuple((int(token_id), float(logits[token_id]) - log_sum) for token_id in ids if logits[token_id] > -np.inf)


def _require(holds: bool, sentence: str, value: object) -> None:
    if not holds:
        raise UserError(f"{sentence}, not {value}.")
