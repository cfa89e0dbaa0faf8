"""The visitor behind a page event, and the limits that apply to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from fastapi import Request
from gradio.context import LocalContext

from app.errors import ApiError
from app.limits import Limits
from santacoder.errors import UserError

T = TypeVar("T")


def caller() -> Request:
    """The request behind the running event; can only be used while a function of the page runs."""
    request = LocalContext.request.get()
    assert request is not None and request.request is not None
    return request.request


def session(client: str) -> str:
    """A name for the open page of ``client`` that sent the running event."""
    request = LocalContext.request.get()
    assert request is not None
    return f"{client} {request.session_hash}"


@contextmanager
def admitted(limits: Limits, n_texts: int = 1, n_tokens: int = 0) -> Iterator[str]:
    """Count an event of the page like an API request, with ``n_tokens`` for each of ``n_texts``.

    Yields the client's name, by which texts of several clients are scheduled fairly.

    Raises:
        UserError: the client sends too many requests or asks for too much; the message is a sentence.
    """
    request = caller()
    with ExitStack() as leaving:
        try:
            limits.check_rate(request)
            limits.check_tokens(n_texts, n_tokens)
            leaving.callback(limits.admit(request))
            leaving.callback(limits.admit_texts(request, n_texts))
        except ApiError as error:
            raise UserError(str(error)) from error
        yield limits.client(request)


def in_time(limits: Limits, steps: Iterator[T], ended: Callable[[T], T]) -> Iterator[T]:
    """Yield from ``steps`` until the time limit of a request; then yield the last one as ``ended`` and stop."""
    started = time.monotonic()
    for step in steps:
        if not limits.seconds or time.monotonic() - started < limits.seconds:
            yield step
            continue
        yield ended(step)
        return
