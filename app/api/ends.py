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

    stop_at: StopAt = Field("none", description="Ends the text with the line, the block or the function it is in.")
    stop_repetition: bool = Field(False, description="Ends a text that begins to repeat itself.")
    fit_gap: bool | None = Field(
        None,
        description="Cuts a middle that goes on with what stands behind the gap, and does not begin it with a line "
        "break inside a line. On where the suffix is a field of its own.",
    )
    language: Annotated[Language, BeforeValidator(_named)] | None = Field(
        None, description="Of the code; without it, it is guessed from the code."
    )
    file_name: str | None = Field(None, description="Whose ending says the language, where that is not given.")

    token_healing: bool | None = Field(
        None,
        description="Takes the end of the prompt back as far as it may be the beginning of longer tokens, and begins "
        "with tokens that agree with it. On for text to be continued, off for gaps; without effect on tokens and echo.",
    )
    min_logprob: float | None = Field(
        None, le=0, description="Ends the text before the first token less likely than that, in nats."
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
