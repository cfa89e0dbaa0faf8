"""The values in a JSON text. Their number is limited: what is made of each costs far more than its bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

MOST_VALUES = 10_000
"""Of a request, on every route that limits them."""
_DEEPEST = 100
"""Lists and objects within each other: what Python, Pydantic and their like can read is a few hundred."""
_WHOLE_NUMBERS = 10  # as much as one other value
_STRING = re.compile(rb'"[^"]*"')  # without escapes


class TooManyValues(Exception):
    """A JSON text has more values than are allowed, or they lie too deep within each other."""


def has_more_values(body: bytes, most: int) -> bool:
    """Whether there are more than ``most`` numbers, texts, lists and so on, or lists too deep within each other. Tokens
    are cheap: ten whole numbers in a list of nothing else are one value. What is no JSON has none.
    """
    # every value but the first follows one of these, which may also stand in texts
    may_be_deep = body.count(b"[") + body.count(b"{") > _DEEPEST
    if not may_be_deep and (len(body) <= most or sum(body.count(mark) for mark in b",[{:") < most):
        return False
    try:
        few_values(body, most)
    except TooManyValues:
        return True
    return False


def few_values(body: bytes, most: int) -> list[Any]:
    """All values of a JSON text, as :func:`has_more_values` counts them; none where it is no JSON.

    Raises:
        TooManyValues: there are more than ``most``, or they lie too deep.
    """
    # a million of them, once parsed, hold everybody up for two seconds: Python looks through them for garbage
    if body.count(b"[") + body.count(b"{") > most and _lists_and_objects(body) > most:
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


def _lists_and_objects(body: bytes) -> int:
    """How many a JSON text has, without parsing it."""
    outside_strings = _STRING.sub(b"", body.replace(rb"\\", b"").replace(rb"\"", b""))
    return outside_strings.count(b"[") + outside_strings.count(b"{")


def values(value: Any) -> Iterator[Any]:
    """All values within a JSON value, one after another; of whole numbers in a list, a tenth.

    Raises:
        TooManyValues: some lie too deep.
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
