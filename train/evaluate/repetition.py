"""Whether a continuation goes round in circles, or is empty: what one sees at once of a small model."""

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
    """Whether a line stands three times in a row, blank ones aside, or one run of three words is more than a fifteenth
    of all such runs and there three times. Names are taken apart at underscores.

    Of HumanEval's own solutions, most of them a few lines, 7 % do.
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
