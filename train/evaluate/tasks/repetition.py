"""Whether a continuation is repetitive or empty, the most visible faults of a small model."""

from __future__ import annotations

import re
from collections import Counter
from itertools import groupby

from santacoder.sampling import SamplingParams

SAMPLING = SamplingParams(max_new_tokens=128, temperature=0.2, top_p=0.95, seed=0)
_TIMES = 3
_SHARE = 1 / 15
_WORD = re.compile(r"[^\W_]+")


def repeats_itself(text: str) -> bool:
    """Whether a line occurs three times in a row, ignoring blank lines, or a word trigram occurs three times and is
    more than a fifteenth of all trigrams. Names are split at underscores.

    This holds for 7 % of HumanEval's own solutions, most of which are a few lines long.
    """
    lines = [line.rstrip() for line in text.split("\n") if line.strip()]
    if any(len(list(same)) >= _TIMES for _, same in groupby(lines)):
        return True
    words = _WORD.findall(text)
    runs = Counter(zip(words, words[1:], words[2:], strict=False))
    most = max(runs.values(), default=0)
    return most >= _TIMES and most > _SHARE * sum(runs.values())


def is_empty(text: str) -> bool:
    return not text.strip()
