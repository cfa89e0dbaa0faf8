"""Validation of the inputs of page events, because clients can send any JSON to the queue."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from itertools import zip_longest
from typing import Any, TypeVar

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.components import Component
from gradio.components.api_component import Api

from app.json_values import values
from santacoder.errors import UserError
from santacoder.tokenizer import require_valid_unicode

T = TypeVar("T")
_NUMBER, _TEXT = ((int, float), "a number"), ((str,), "text")
_TYPES: dict[type[Component], tuple[tuple[type, ...], str]] = {
    gr.Code: _TEXT,
    gr.Textbox: _TEXT,
    gr.Radio: _TEXT,
    gr.Dropdown: _TEXT,
    gr.Checkbox: ((bool,), "true or false"),
    gr.Slider: _NUMBER,
    gr.Number: _NUMBER,
}
_FOLLOWS_TYPING = "follows_typing"
_TYPES_OF_FUNCTIONS = {"string": _TEXT, "integer": ((int,), "a whole number"), "number": _NUMBER}


def check_inputs(page: gr.Blocks) -> None:
    """Make every event of ``page`` reject values that its components cannot have, with a sentence."""
    preprocess = page.preprocess_data

    async def check_and_preprocess(event: BlockFunction, inputs: list[Any], *rest: Any, **options: Any) -> Any:
        if event.fn is None:
            raise _misfit("This event is handled in the browser; the server has nothing to do for it.")
        try:
            _require_valid_text(inputs)
            left_out = event.inputs[len(inputs) :]
            if all(isinstance(component, Api) for component in left_out):  # the last parameters of a function
                inputs = [*inputs, *(component.value for component in left_out)]
            names = _names(event)
            if getattr(event.fn, _FOLLOWS_TYPING, False):
                inputs = [_within_bounds(*each) for each in zip(event.inputs, inputs, strict=False)]
            given = [_checked(*each) for each in zip(event.inputs, inputs, names, strict=False)]
            return await preprocess(event, given, *rest, **options)
        except gr.Error as error:
            error.print_exception = False
            raise
        except UserError as error:
            raise _misfit(str(error)) from error
        except Exception as error:  # any error of Gradio's components
            raise _misfit("The values do not match any event of this page.") from error

    page.preprocess_data = check_and_preprocess


def follows_typing(function: T) -> T:
    """Mark a function that is called while a number is being typed: a missing one, or one out of range, is brought into
    the range without an error."""
    setattr(function, _FOLLOWS_TYPING, True)
    return function


def _within_bounds(component: Any, value: Any) -> Any:
    """``value``, or for a slider the nearest that it can have, and its default instead of none."""
    if not isinstance(component, gr.Slider):
        return value
    if value is None:
        return component.value
    return min(component.maximum, max(component.minimum, value)) if isinstance(value, (int, float)) else value


def event_value(event: gr.EventData, name: str, kind: Callable[[Any], Any]) -> Any:
    """A value that the page's script sends with an event, converted to ``kind``.

    Raises:
        UserError: it is missing or has another type.
    """
    try:
        value = kind(getattr(event, name))
        _require_valid_text([value])
        return value
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"The event has no {name}.") from error


def _require_valid_text(given: Any) -> None:
    """Check that all strings are valid Unicode.

    Raises:
        UserError: a string has a lone surrogate, which no response could repeat.
    """
    for value in values(given):
        for text in (value, *value) if isinstance(value, dict) else (value,):
            if isinstance(text, str):
                require_valid_unicode(text)


def _names(event: BlockFunction) -> list[str]:
    """The names of the inputs of ``event``: labels, or the names of a function's parameters, which Gradio only
    numbers.
    """
    parameters = [*inspect.signature(event.fn).parameters] if event.fn else []
    return [
        name if isinstance(component, Api) else getattr(component, "label", None) or "A value"
        for component, name in zip_longest(event.inputs, parameters[: len(event.inputs)], fillvalue="A value")
    ]


def _checked(component: Any, value: Any, name: str) -> Any:
    """Validate ``value``; a missing value of a text component becomes empty text. ``name`` is for messages.

    Raises:
        gradio.Error: the value has a type that ``component`` does not accept.
    """
    is_free_text = isinstance(component, (gr.Code, gr.Textbox)) or getattr(component, "allow_custom_value", False)
    if is_free_text and value is None and not getattr(component, "multiselect", False):
        return ""
    if isinstance(component, gr.Dropdown) and component.multiselect:
        if value is not None and not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
            raise _misfit(f"{name} must be a list of strings.")
        return value
    if isinstance(component, Api):
        value = component.value if value is None else value
        types, words = _TYPES_OF_FUNCTIONS.get(str(component._api_info.get("type")), ((), ""))
    else:
        types, words = next((found for kind, found in _TYPES.items() if isinstance(component, kind)), ((), ""))
    may_be_empty = value is None and not isinstance(component, Api) and component.value is None
    is_other_number = isinstance(value, bool) and bool not in types
    if types and not may_be_empty and (is_other_number or not isinstance(value, types)):
        raise _misfit(f"{name} must be {words}.")
    return value


def _misfit(sentence: str) -> gr.Error:
    return gr.Error(sentence, print_exception=False)
