"""The values in a JSON text. Their number is limited: what is made of each costs far more than its bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any


def has_more_values(body: bytes, most: int) -> bool:
    """Whether there are more than ``most`` numbers, texts, lists and so on, or lists too deep within each other. Tokens
    are cheap: ten whole numbers in a list of nothing else are one value. What is no JSON has none.
    """
    # every value but the first follows one of these, which may also stand in texts
    if len(body) <= most or sum(body.count(mark) for mark in b",[{:") < most:
        return False
    try:
        value = json.loads(body)
    except RecursionError:
        return True
    except ValueError:
        return False
    return next(islice(values(value), most, None), _END) is not _END


_END = object()
_WHOLE_NUMBERS = 10  # as much as one other value


def values(value: Any) -> Iterator[Any]:
    """All values within a JSON value, one after another, however deep they lie; of whole numbers in a list, a tenth."""
    ahead = [iter([value])]
    while ahead:
        for found in ahead[-1]:
            yield found
            if isinstance(found, list) and all(type(value) is int for value in found):
                yield from islice(found, 0, None, _WHOLE_NUMBERS)
            elif isinstance(found, dict | list):
                ahead.append(iter(found.values() if isinstance(found, dict) else found))
                break
        else:
            ahead.pop()
