"""Smoothed BLEU-4 as in CodeXGLUE's code summarisation (arXiv 2102.04664; its ``evaluator.py``).

Text is lower-cased and split into words and single punctuation marks, including underscores. Counts of n-grams above
unigrams are smoothed by adding one (Lin and Och, COLING 2004), and so are the lengths in the brevity penalty.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

_TOKEN = re.compile(r"[^\W_]+|[^\s\w]|_")
_ORDER = 4


def sentence_bleu(candidate: str, reference: str) -> float:
    """BLEU between 0 and 1; the score of a set is the mean over its sentences."""
    words, reference_words = _TOKEN.findall(candidate.lower()), _TOKEN.findall(reference.lower())
    log_precision = 0.0
    for order in range(1, _ORDER + 1):
        smoothing = 0 if order == 1 else 1
        found = _ngrams(words, order)
        matches = (found & _ngrams(reference_words, order)).total() + smoothing
        if matches == 0:
            return 0.0
        log_precision += math.log(matches / (found.total() + smoothing)) / _ORDER
    brevity = min(0.0, 1 - (len(reference_words) + 1) / (len(words) + 1))
    return math.exp(log_precision + brevity)


def _ngrams(words: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[start : start + order]) for start in range(len(words) - order + 1))
