"""The values in a JSON text and limits on their number, because processing a value costs far more than its bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

MOST_VALUES = 10_000
"""The maximum number of values of a request, on every route that limits them."""
_DEEPEST = 100
"""Maximum nesting depth; Python, Pydantic and similar libraries can process a few hundred levels."""
_WHOLE_NUMBERS = 10  # whole numbers that count as one value
_STRING = re.compile(rb'"[^"]*"')  # without escapes


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
    # a million parsed lists or objects would block all threads for two seconds of garbage collection
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
    """The number of lists and objects in a JSON text, without parsing it."""
    outside_strings = _STRING.sub(b"", body.replace(rb"\\", b"").replace(rb"\"", b""))
    return outside_strings.count(b"[") + outside_strings.count(b"{")


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
