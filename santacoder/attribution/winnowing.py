"""Fingerprints of token runs by winnowing (Schleimer, Wilkerson and Aiken, SIGMOD 2003, section 3).

Of every ``window`` consecutive runs of ``RUN`` tokens, the one with the smallest hash is a fingerprint; of several, the
rightmost. Two texts that share ``guaranteed(window)`` tokens share a whole window, and therefore at least one
fingerprint. The exception is a run that only repeats one to four tokens, as in ``0, 0, 0, 0``: such runs are never
fingerprints, since all of them would be. A wider window gives fewer fingerprints and a smaller index.
"""

from __future__ import annotations

import numpy as np

from santacoder.attribution.tokens import mix, powers

RUN = 19
WINDOW = 32
_MAX_PERIOD = 4
_NEVER = np.uint64(2**64 - 1)
_PLACE_BITS = 24
_PLACES = np.uint64(2**_PLACE_BITS - 1)


def guaranteed(window: int) -> int:
    """The number of tokens that two texts must share to be certain to share a fingerprint."""
    return RUN + window - 1


def fingerprints(
    tokens: np.ndarray, window: int, file_starts: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Hashes [n] uint64 and positions [n] int64, ascending, of the fingerprints of ``tokens`` [m] uint64, with m below
    2^24.

    ``file_starts`` are the positions at which another file begins; no run crosses them.
    """
    if len(tokens) < RUN:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    hashes = _run_hashes(tokens)
    barred = _periodic(tokens)
    if file_starts is not None:
        _bar_across(barred, file_starts)
    # position in the low bits: the rightmost of equal runs has the smallest key, and the minimum contains its position
    places = np.arange(len(hashes), dtype=np.uint64)
    keys = (hashes & ~_PLACES) | (_PLACES - places)
    keys[barred] = _NEVER
    smallest = _window_minima(keys, window)
    smallest = smallest[np.append(True, smallest[1:] != smallest[:-1]) & (smallest != _NEVER)]
    # a key may recur after a barred stretch
    chosen = np.unique((_PLACES - (smallest & _PLACES)).astype(np.int64))
    return hashes[chosen], chosen


def _run_hashes(tokens: np.ndarray) -> np.ndarray:
    """The hash of the run that begins at each token, [m - RUN + 1] uint64, from differences of a prefix sum."""
    sums = np.zeros(len(tokens) + 1, np.uint64)
    np.cumsum(tokens * powers(len(tokens)), out=sums[1:])
    return mix((sums[RUN:] - sums[:-RUN]) * powers(len(tokens) - RUN + 1, inverse=True))


def _periodic(tokens: np.ndarray) -> np.ndarray:
    """Whether the run at each token only repeats one to four tokens, [m - RUN + 1] bool."""
    result = np.zeros(len(tokens) - RUN + 1, bool)
    for period in range(1, _MAX_PERIOD + 1):
        equal = np.zeros(len(tokens) + 1 - period, np.int32)
        np.cumsum(tokens[period:] == tokens[:-period], out=equal[1:])
        result |= equal[RUN - period :] - equal[: len(result)] == RUN - period
    return result


def _bar_across(barred: np.ndarray, file_starts: np.ndarray) -> None:
    for distance in range(1, RUN):
        before = file_starts - distance
        barred[before[(before >= 0) & (before < len(barred))]] = True


def _window_minima(keys: np.ndarray, window: int) -> np.ndarray:
    """The minimum of every ``window`` neighbours, or of all if there are fewer."""
    minima = keys
    width = 1
    while width < min(window, len(keys)):
        step = min(width, min(window, len(keys)) - width)
        minima = np.minimum(minima[:-step], minima[step:])
        width += step
    return minima
