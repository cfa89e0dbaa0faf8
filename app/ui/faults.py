"""Failed events of the page: the browser gets a message, whatever was raised."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import gradio as gr

from app.errors import sentence_for


def explain_faults(page: gr.Blocks) -> None:
    """Convert the exceptions of all events of ``page`` into messages. Call it after all events are defined."""
    for event in page.fns.values():
        if event.fn is not None:
            event.fn = explained(event.fn)


def explained(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` (plain, asynchronous or a generator), with its exceptions converted to :class:`gradio.Error`."""
    if inspect.isgeneratorfunction(function):

        @wraps(function)
        def generate(*args: Any, **kwargs: Any) -> Iterator[Any]:
            try:
                yield from function(*args, **kwargs)
            except Exception as error:
                raise _told(error) from error

        return generate
    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def answer(*args: Any, **kwargs: Any) -> Any:
            try:
                return await function(*args, **kwargs)
            except Exception as error:
                raise _told(error) from error

        return answer

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            raise _told(error) from error

    return call


def _told(error: Exception) -> gr.Error:
    return error if isinstance(error, gr.Error) else gr.Error(sentence_for(error), print_exception=False)
