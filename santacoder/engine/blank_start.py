"""The beginning of a text: no token of white space twice before anything else is written.

After some headers, models write tabs or line breaks up to the limit. A repetition that is only cut off leaves nothing
of such a text, so another token has to be sampled instead.
"""

from __future__ import annotations

from collections.abc import Iterable

from santacoder.tokenizer import Tokenizer


class BlankStart:
    """The tokens of white space that a blank text consists of: ``avoided`` must not be sampled again. ``ids`` are the
    tokens that have already been generated."""

    def __init__(self, tokenizer: Tokenizer, ids: Iterable[int] = ()) -> None:
        self._token_bytes = tokenizer.decode_bytes
        self.avoided: list[int] = []
        for token_id in ids:
            self.add(token_id)

    def add(self, token_id: int) -> None:
        """Take note of a token of the text."""
        if self._token_bytes([token_id]).isspace():
            self.avoided.append(token_id)
