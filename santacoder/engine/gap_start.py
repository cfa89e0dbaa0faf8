"""The first token of a gap inside a line: not a line break, unless the model is sure of one."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from santacoder.engine.runner import Logits
from santacoder.tokenizer import Tokenizer

_SURE = 0.9
"""The model is sure if the total probability of tokens that break the line is at least this."""
# after these a statement continues; all but the brackets and the comma need something on the same line
_GOES_ON = tuple("=([,.+-*/%&|<>!~^?")
_NEEDS_MORE = tuple("=.+-*/%&|<>!~^?")
# after these a line may be complete, whatever blanks follow
_ENDS_LINE = tuple(":{};)]")


class GapStart:
    """Tokens that must not be sampled before the first character that is not white space."""

    def __init__(self, prefix: str, tokenizer: Tokenizer) -> None:
        # an empty middle would leave the line as it is
        ends = tokenizer.special_ids if prefix.rstrip().endswith(_NEEDS_MORE) else frozenset[int]()
        self._breaks = np.array(sorted(_line_breaks(tokenizer) | ends), dtype=np.int64)

    def avoided(self, logits: Logits, agreeing: np.ndarray | None = None) -> list[int]:
        """Ids that must not be sampled from ``logits`` [V], where only ``agreeing`` ids can be, if they are given."""
        scores = logits if isinstance(logits, np.ndarray) else logits.cpu().numpy()
        possible = scores if agreeing is None else scores[agreeing]
        breaks = self._breaks if agreeing is None else np.intersect1d(self._breaks, agreeing)
        highest = possible.max()
        is_sure = np.exp(scores[breaks] - highest).sum() >= _SURE * np.exp(possible - highest).sum()
        return [] if is_sure else breaks.tolist()


def is_inside_line(prefix: str, suffix: str) -> bool:
    """Whether the gap continues the line before it."""
    line = prefix.rpartition("\n")[2]
    written = line.rstrip()
    if not written:
        return False
    if suffix.partition("\n")[0].strip() or written.endswith(_GOES_ON):
        return True
    return line != written and not written.endswith(_ENDS_LINE)


@lru_cache(maxsize=8)
def _line_breaks(tokenizer: Tokenizer) -> frozenset[int]:
    """Tokens that begin a new line, at once or after blanks."""
    return frozenset(
        token_id
        for token_id in range(tokenizer.vocab_size)
        if tokenizer.decode_bytes([token_id]).lstrip(b" \t\r").startswith(b"\n")
    )
