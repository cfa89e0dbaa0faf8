"""``logit_bias`` in each of the forms that llama.cpp's server accepts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated

from app.api.bodies import Number, one_of
from santacoder.tokenizer import Tokenizer

# with a larger bias, a token is always or never chosen, whatever the logits
_LARGEST = 100.0

Bias = Number | bool
LogitBias = Annotated[
    list[tuple[int | str, Bias]] | dict[str, Bias],
    one_of("Input should be pairs of a token id or text and a number or false, or an object of them"),
]


def logit_bias(given: LogitBias, tokenizer: Tokenizer) -> tuple[tuple[int, float], ...]:
    """Pairs of token id and bias. A text stands for all of its tokens; ``false`` bans a token."""
    pairs = given.items() if isinstance(given, dict) else given
    return tuple((token_id, _number(bias)) for token, bias in pairs for token_id in _ids(token, tokenizer))


def _ids(token: int | str, tokenizer: Tokenizer) -> Iterable[int]:
    if isinstance(token, int):
        return [token]
    return [int(token)] if token.isdecimal() else tokenizer.encode(token)


def _number(bias: Bias) -> float:
    if isinstance(bias, bool):
        return 0.0 if bias else -math.inf
    return max(-_LARGEST, min(_LARGEST, bias))
