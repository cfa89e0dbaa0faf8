"""Where texts begin and end: this server's own fields, which extend every protocol."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import BeforeValidator, Field

from app.api.bodies import Body
from santacoder.engine.request import CompletionRequest
from santacoder.languages import Language, language_of_file
from santacoder.sampling import StopAt

# language names that editors use
_ALIASES = {
    **dict.fromkeys(("py", "python3"), "python"),
    **dict.fromkeys(("js", "jsx", "ts", "tsx", "typescript", "javascriptreact", "typescriptreact"), "javascript"),
}


def _named(language: object) -> object:
    return _ALIASES.get(language.lower(), language.lower()) if isinstance(language, str) else language


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
