"""Return free memory to the system, which the allocator would keep after large requests."""

from __future__ import annotations

import asyncio
import ctypes
import sys
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool

_SECONDS_BETWEEN = 30


def give_back() -> None:
    """Return free memory to the system, if the C library supports it (malloc_trim(3) of glibc)."""
    if trim := _trim():
        trim(0)


async def give_back_regularly() -> None:
    while True:
        await asyncio.sleep(_SECONDS_BETWEEN)
        await run_in_threadpool(give_back)


def _trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    try:
        # functions of a CDLL run without the interpreter lock
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except AttributeError:  # musl
        return None
    return trim
