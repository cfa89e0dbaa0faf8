"""The common base of all request bodies: null means the default, and errors are sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError


class Body(BaseModel):
    """A JSON object in which a null field counts as absent. Objects inside it are bodies, too."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        return _without_nulls(value, depth=2)


def _without_nulls(value: Any, depth: int) -> Any:
    """A JSON object without its null fields; with ``depth`` 2, also without those of the objects inside it."""
    if not isinstance(value, dict) or not depth:
        return value
    return {name: _without_nulls(given, depth - 1) for name, given in value.items() if given is not None}


def one_of(sentence: str) -> WrapValidator:
    """Replaces the separate errors of each type of a union field by one ``sentence``."""

    def check(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        try:
            return validate(value)
        except ValidationError as error:
            raise PydanticCustomError("one_of", sentence) from error

    return WrapValidator(check)


def unsupported(has_no_effect: Callable[[Any], bool] = lambda value: False) -> AfterValidator:
    """Rejects a field of the protocol that this server does not support, unless its value would have no effect."""

    def check(value: Any) -> Any:
        if not has_no_effect(value):
            raise PydanticCustomError("unsupported", "This server does not support it; omit it")
        return value

    return AfterValidator(check)


Number = Annotated[float, Field(allow_inf_nan=False)]
TokenIds = Annotated[list[Annotated[int, Field(ge=0, strict=True)]], Field(min_length=1)]
Stop = Annotated[
    str | list[str],
    one_of("Input should be a string or a list of strings"),
    BeforeValidator(lambda value: [part for part in value if part is not None] if isinstance(value, list) else value),
]

# llama.cpp and Ollama clamp values to their range
NotNegative = Annotated[Number, AfterValidator(lambda value: max(value, 0.0))]
NotNegativeInt = Annotated[int, AfterValidator(lambda value: max(value, 0))]
Share = Annotated[Number, AfterValidator(lambda value: min(max(value, 0.0), 1.0))]
