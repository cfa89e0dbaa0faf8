"""The values in a JSON text and limits on their number, because processing a value costs far more than its bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

MOST_VALUES = 10_000
"""The maximum number of values of a request, on every route that limits them."""
_DEEPEST = 100
"""Maximum nesting depth; Python, Pydantic and similar libraries can process a few hundred levels."""
_WHOLE_NUMBERS = 10  # whole numbers that count as one value
_PIECE = 65_536  # bytes


class TooManyValues(Exception):
    """A JSON text has too many values, or they are nested too deeply."""


def has_more_values(body: bytes, most: int) -> bool:
    """Whether a text has more than ``most`` numbers, strings, lists and so on, or is nested too deeply.

    Token ids are cheap: ten whole numbers in a list that contains nothing else count as one value. Invalid JSON has no
    values.
    """
    # every value but the first follows one of these characters, which may also occur in strings
    may_be_deep = body.count(b"[") + body.count(b"{") > _DEEPEST
    if not may_be_deep and (len(body) <= most or sum(body.count(mark) for mark in b",[{:") < most):
        return False
    try:
        few_values(body, most)
    except TooManyValues:
        return True
    return False


def few_values(body: bytes, most: int) -> list[Any]:
    """All values of a JSON text, counted as in :func:`has_more_values`; empty if it is not JSON.

    Raises:
        TooManyValues: there are more than ``most``, or they are nested too deeply.
    """
    # a million parsed lists would block all threads for two seconds of garbage collection, a million numbers for 0.2 s
    if _has_certainly_more(body, most):
        raise TooManyValues
    try:
        found = list(islice(values(json.loads(body)), most + 1))
    except RecursionError as error:
        raise TooManyValues from error
    except ValueError:
        return []
    if len(found) > most:
        raise TooManyValues
    return found


def _has_certainly_more(body: bytes, most: int) -> bool:
    """Whether a JSON text has more than ``most`` lists and objects, or more commas than ``most`` values can have. It is
    not parsed."""
    most_commas = most * _WHOLE_NUMBERS
    if body.count(b"[") + body.count(b"{") <= most and body.count(b",") < most_commas:
        return False
    n_lists = n_commas = 0
    for part in _outside_strings(body):
        n_lists += part.count(b"[") + part.count(b"{")
        n_commas += part.count(b",")
        if n_lists > most or n_commas >= most_commas:
            return True
    return False


def _outside_strings(body: bytes) -> Iterator[bytes]:
    """A JSON text without its strings, in pieces, so that other threads can run between them."""
    is_inside, held_back = False, b""
    for start in range(0, len(body), _PIECE):
        piece = (held_back + body[start : start + _PIECE]).replace(rb"\\", b"").replace(rb"\"", b"")
        held_back = piece[-1:] if piece.endswith(b"\\") else b""  # what it escapes is in the next piece
        parts = piece.split(b'"')
        yield b"".join(parts[is_inside::2])
        is_inside ^= len(parts) % 2 == 0


def values(value: Any) -> Iterator[Any]:
    """Iterate over all values in a JSON value; of whole numbers in a list, over a tenth.

    Raises:
        TooManyValues: they are nested too deeply.
    """
    ahead = [iter([value])]
    while ahead:
        for found in ahead[-1]:
            yield found
            if isinstance(found, list) and all(type(value) is int for value in found):
                yield from islice(found, 0, None, _WHOLE_NUMBERS)
            elif isinstance(found, dict | list):
                if len(ahead) > _DEEPEST:
                    raise TooManyValues
                ahead.append(iter(found.values() if isinstance(found, dict) else found))
                break
        else:
            ahead.pop()
