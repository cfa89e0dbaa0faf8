"""The fields of request bodies: null means the default, errors are sentences.

This server's own fields, which say where texts begin and end, extend every protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
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

from santacoder.engine.request import CompletionRequest
from santacoder.languages import LANGUAGES, Language, language_of_file
from santacoder.sampling import StopAt

Number = Annotated[float, Field(allow_inf_nan=False)]
TokenIds = Annotated[list[Annotated[int, Field(ge=0, strict=True)]], Field(min_length=1)]

# llama.cpp and Ollama clamp values to their range
NotNegative = Annotated[Number, AfterValidator(lambda value: max(value, 0.0))]
NotNegativeInt = Annotated[int, AfterValidator(lambda value: max(value, 0))]
Share = Annotated[Number, AfterValidator(lambda value: min(max(value, 0.0), 1.0))]

# language names that editors use
_ALIASES = {
    **dict.fromkeys(("py", "python3"), "python"),
    **dict.fromkeys(("js", "jsx", "ts", "tsx", "typescript", "javascriptreact", "typescriptreact"), "javascript"),
}


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


def _valid_unicode(value: str | list[str] | None) -> str | list[str] | None:
    """Rejects lone surrogates, which no response could repeat."""
    try:
        "".join(value or "").encode("utf-8")
    except UnicodeEncodeError as error:
        raise PydanticCustomError("unicode", "Input should be valid Unicode, without lone surrogates") from error
    return value


ValidUnicode = AfterValidator(_valid_unicode)


def unsupported(has_no_effect: Callable[[Any], bool] = lambda value: False) -> AfterValidator:
    """Rejects a field of the protocol that this server does not support, unless its value would have no effect."""

    def check(value: Any) -> Any:
        if not has_no_effect(value):
            raise PydanticCustomError("unsupported", "This server does not support it; omit it")
        return value

    return AfterValidator(check)


Stop = Annotated[
    str | list[str],
    one_of("Input should be a string or a list of strings"),
    ValidUnicode,
    BeforeValidator(lambda value: [part for part in value if part is not None] if isinstance(value, list) else value),
]


def _named(language: object) -> object:
    return _ALIASES.get(language.lower(), language.lower()) if isinstance(language, str) else language


def known_language(language: object) -> object:
    """The language of the model that an editor's name stands for; None for all others."""
    named = _named(language)
    return named if not isinstance(named, str) or named in LANGUAGES else None


class EndFields(Body):
    """Fields for the body of a request."""

    stop_at: StopAt = Field("none", description="Ends the text at the end of the current line, block or function.")
    stop_repetition: bool = Field(
        False, description="Ends the text when it begins to repeat itself; it does not begin with repeated white space."
    )
    fit_gap: bool | None = Field(
        None,
        description="Ends the middle before it repeats the code after the gap, and does not begin it with a line "
        "break inside a line. On by default if the suffix is a separate field.",
    )
    language: Annotated[Language, BeforeValidator(_named)] | None = Field(
        None, description="Language of the code; by default, it is detected."
    )
    file_name: str | None = Field(None, description="Its extension selects the language, if language is not set.")

    token_healing: bool | None = Field(
        None,
        description="Removes the end of the prompt as far as it may be the beginning of longer tokens, and generates "
        "it again. On by default for continuations, and for gaps unless the prefix ends in punctuation at the end of a "
        "line; off for prompts with sentinels; no effect on token ids and with echo.",
    )
    min_logprob: float | None = Field(
        None, le=0, description="Ends the text before the first token with a lower log-probability, in nats."
    )

    def with_ends(self, request: CompletionRequest) -> CompletionRequest:
        """``request`` with these fields applied."""
        healing = request.sampling.token_healing if self.token_healing is None else self.token_healing
        sampling = replace(
            request.sampling,
            stop_at=self.stop_at,
            stop_repetition=self.stop_repetition,
            token_healing=healing,
            min_logprob=self.min_logprob,
        )
        return replace(
            request,
            sampling=sampling,
            language=self.language or language_of_file(self.file_name or ""),
            fit_gap=request.fit_gap if self.fit_gap is None else self.fit_gap,
        )
