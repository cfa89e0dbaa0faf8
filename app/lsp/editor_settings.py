"""The settings that an editor sends, as ``initializationOptions`` or as the section ``santacoder`` of its
configuration."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

SECTION = "santacoder"


class EditorSettings(BaseModel):
    """Settings of a language client. Where the API has the same field, they share its name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_logprob: float | None = Field(-2.0, le=0)
    """An automatic suggestion ends before the first token that is less likely, in nats."""
    max_tokens: int = Field(64, ge=1, le=1024)
    candidates: int = Field(3, ge=1, le=8)
    """The number of texts that are sampled when the user asks for one; equal texts count once."""
    temperature: float = Field(0.6, ge=0, le=5)
    """For all candidates but the first, which is the most likely text."""
    debounce_ms: int = Field(50, ge=0, le=10_000)
    """Automatic requests that follow each other faster wait until there has been none for this time."""
    context_tokens: int = Field(256, ge=0, le=100_000)
    """The budget for code from other open documents and the project."""
    completion: bool | None = None
    """Offer ``textDocument/completion``; by default only to editors without ``textDocument/inlineCompletion``."""


def updated(settings: EditorSettings, given: Any) -> tuple[EditorSettings, list[str]]:
    """``settings`` with the valid ones of those ``given``, and a sentence about each of the others."""
    if isinstance(given, dict) and isinstance(given.get(SECTION), dict):
        given = given[SECTION]
    if given is None:
        return settings, []
    if not isinstance(given, dict):
        return settings, [f"The settings of {SECTION} must be an object of names and values."]
    problems = []
    values = settings.model_dump()
    for name, value in given.items():
        try:
            EditorSettings.model_validate({name: value})
        except ValidationError as error:
            known = ", ".join(EditorSettings.model_fields)
            first = error.errors(include_url=False)[0]
            said = f"{first['msg']}." if name in EditorSettings.model_fields else f"The settings are {known}."
            problems.append(f"The setting {SECTION}.{str(name)[:100]} was ignored: {said}")
        else:
            values[name] = value
    return EditorSettings.model_validate(values), problems
