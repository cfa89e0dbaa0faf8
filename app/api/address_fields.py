"""Fields of request bodies in the address, as ``/infill?min_logprob=-2``: for editors that let their users choose the
address, but not what they send."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool

_NAMES_OF_A_FIELD = (("max_tokens", "max_completion_tokens", "n_predict"), ("n_cmpl", "n"), ("n_probs", "logprobs"))
_SAME = {name: names for names in _NAMES_OF_A_FIELD for name in names}


async def with_fields_of_address(request: Request) -> Request:
    """``request``, whose body has been read, with the fields that its address names and its body does not have, by any
    of their names. A name with a dot is a field of an object: ``options.temperature``."""
    if request.method == "POST" and request.query_params:
        body = await request.body()
        request._body = await run_in_threadpool(_with_fields, body, request.query_params.multi_items())
    return request


def _with_fields(body: bytes, fields: Iterable[tuple[str, str]]) -> bytes:
    try:
        whole = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        return body  # which is refused with a message
    if not isinstance(whole, dict):
        return body
    for name, value in fields:
        outer, _, inner = name.rpartition(".")
        part: Any = whole
        if outer:
            if whole.get(outer) is None:
                whole[outer] = {}
            part = whole[outer]
        if isinstance(part, dict) and not _has(part, inner):
            part[inner] = value
    return json.dumps(whole).encode()


def _has(part: dict[str, Any], name: str) -> bool:
    """Whether the field ``name`` has a value, by any of its names. Null stands for the default."""
    return any(part.get(same) is not None for same in _SAME.get(name, (name,)))
