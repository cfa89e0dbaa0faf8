"""The beginning of a text: no token of white space twice before anything else is written.

After some headers, models write tabs or line breaks up to the limit. A repetition that is only cut off leaves nothing
of such a text, so another token has to be sampled instead.
"""

from __future__ import annotations

from collections.abc import Sequence

from santacoder.tokenizer import Tokenizer


class BlankStart:
    """The tokens of white space that a blank text consists of: ``avoided`` must not be sampled again. ``written`` is
    the part of it that has already been generated, as the last of ``ids``."""

    def __init__(self, tokenizer: Tokenizer, ids: Sequence[int] = (), written: str = "") -> None:
        self._token_bytes = tokenizer.decode_bytes
        self.avoided: list[int] = []
        left = len(written.encode("utf-8"))
        for token_id in reversed(ids):
            if left <= 0:
                break
            left -= len(self._token_bytes([token_id]))
            self.add(token_id)

    def add(self, token_id: int) -> None:
        """Take note of a token of the text."""
        if self._token_bytes([token_id]).isspace():
            self.avoided.append(token_id)
