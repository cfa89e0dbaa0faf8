"""Fingerprints of token runs by winnowing (Schleimer, Wilkerson and Aiken, SIGMOD 2003, section 3).

Of every ``window`` neighbouring runs of ``RUN`` tokens, the one with the smallest hash is a fingerprint, and the
rightmost of several. Two texts that share ``guaranteed(window)`` tokens share a whole window, and so at least one
fingerprint at the same place of what they share. This holds unless the shared tokens are nothing but one to four tokens
repeated, as in ``0, 0, 0, 0``: runs like these are never fingerprints, since all of them would be. A wider window makes
fewer fingerprints, and a smaller index.
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
    """How many tokens two texts must share for a fingerprint to be shared, too."""
    return RUN + window - 1


def fingerprints(
    tokens: np.ndarray, window: int, file_starts: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Hashes [n] uint64 and places [n] int64, ascending, of the fingerprints in ``tokens`` [m] uint64, m below 2^24.

    ``file_starts`` are the places where another file begins; no run reaches across one.
    """
    if len(tokens) < RUN:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    hashes = _run_hashes(tokens)
    barred = _periodic(tokens)
    if file_starts is not None:
        _bar_across(barred, file_starts)
    # place in the low bits: the rightmost of equal runs has the smallest key, and the minimum tells where it stood
    places = np.arange(len(hashes), dtype=np.uint64)
    keys = (hashes & ~_PLACES) | (_PLACES - places)
    keys[barred] = _NEVER
    smallest = _window_minima(keys, window)
    smallest = smallest[np.append(True, smallest[1:] != smallest[:-1]) & (smallest != _NEVER)]
    # a key may come back behind a barred stretch
    chosen = np.unique((_PLACES - (smallest & _PLACES)).astype(np.int64))
    return hashes[chosen], chosen


def _run_hashes(tokens: np.ndarray) -> np.ndarray:
    """Hash of the run that begins at each token, [m - RUN + 1] uint64: differences of a running sum."""
    sums = np.zeros(len(tokens) + 1, np.uint64)
    np.cumsum(tokens * powers(len(tokens)), out=sums[1:])
    return mix((sums[RUN:] - sums[:-RUN]) * powers(len(tokens) - RUN + 1, inverse=True))


def _periodic(tokens: np.ndarray) -> np.ndarray:
    """Whether the run at each token repeats one to four tokens, [m - RUN + 1] bool."""
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
    """Minimum of every ``window`` neighbours, or of all where there are fewer."""
    minima = keys
    width = 1
    while width < min(window, len(keys)):
        step = min(width, min(window, len(keys)) - width)
        minima = np.minimum(minima[:-step], minima[step:])
        width += step
    return minima
