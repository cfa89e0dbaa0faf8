"""Estimators: pass@k and confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from santacoder.errors import UserError

RESAMPLES = 10_000
LEVEL = 0.95  # of every interval
_SEED = 0  # equal scores have equal intervals
_Z = NormalDist().inv_cdf((1 + LEVEL) / 2)


def pass_at_k(n: int, c: float, k: int) -> float:
    """The probability that at least one of ``k`` samples passes, if ``c`` of ``n`` do: ``1 - C(n-c, k) / C(n, k)``.

    The unbiased estimator of Chen et al. (arXiv 2107.03374, figure 3), as a product that does not overflow. For k = 1
    it is ``c / n`` for any ``c``, so it is also the mean of scores between 0 and 1.

    Raises:
        UserError: there are fewer than ``k`` samples.
    """
    if not 1 <= k <= n:
        raise UserError(f"pass@{k} cannot be estimated from {n} samples.")
    if k == 1:
        return c / n
    if n - c < k:
        return 1.0
    return float(1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1)))


def confidence_interval(scores: Sequence[float]) -> tuple[float, float]:
    """The confidence interval of the mean over tasks, by the percentile bootstrap (Efron) over tasks.

    For the difference between two models, ``scores`` are the differences per task.
    """
    values = np.asarray(scores, dtype=np.float64)
    random = np.random.default_rng(_SEED)
    means = np.empty(RESAMPLES)
    for start in range(0, RESAMPLES, 100):  # in blocks, to limit memory with thousands of tasks
        drawn = random.integers(0, len(values), size=(100, len(values)))
        means[start : start + 100] = values[drawn].mean(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def wilson_interval(successes: float, n: int) -> tuple[float, float]:
    """The score interval of a proportion (Wilson, 1927). ``successes`` may be half numbers, for ties.

    Raises:
        UserError: there are no trials.
    """
    if n < 1:
        raise UserError("An interval needs at least one trial.")
    share = successes / n
    centre = share + _Z * _Z / (2 * n)
    spread = _Z * math.sqrt(share * (1 - share) / n + _Z * _Z / (4 * n * n))
    return max(0.0, (centre - spread) / (1 + _Z * _Z / n)), min(1.0, (centre + spread) / (1 + _Z * _Z / n))
