"""From a place in a document to a request for suggestions, in the form of llama.cpp's ``/infill``
(app/api/llama_cpp/bodies.py), which the engine inside and a server both understand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.lsp.cursor import stop_at
from app.lsp.documents import Document
from app.lsp.editor_settings import EditorSettings
from app.lsp.related_code import RelatedCode

# of santacoder/mini's tokens for code, measured on this project: 3.3
_CHARACTERS_PER_TOKEN = 3
_SUFFIX_SHARE = 0.2  # of the context that is left
_RELATED_SHARE = 0.25
_OTHER_TOKENS = 8  # sentinels, and what token healing takes back

_SAMPLERS = ["top_p", "temperature", "infill"]
"""With ``infill``, the first text is the most likely one."""


@dataclass(frozen=True)
class Code:
    """A place in ``document``: ``written`` stands for what is from ``start`` to ``end`` in ``line``, in characters, and
    a suggestion continues it."""

    document: Document
    line: int
    start: int
    end: int
    written: str


def infill_body(
    code: Code, settings: EditorSettings, related: RelatedCode, n_positions: int, *, invoked: bool
) -> dict[str, Any]:
    """The body of a request for what belongs at a place, to a model with ``n_positions`` tokens of context. If the user
    ``invoked`` it, there are several suggestions, and the model may be unsure of them.
    """
    room = max(0, n_positions - min(settings.max_tokens, n_positions // 2) - _OTHER_TOKENS)
    n_related = min(settings.context_tokens, int(room * _RELATED_SHARE))
    n_suffix = int(room * _SUFFIX_SHARE)
    n_prefix = room - n_related - n_suffix
    document = code.document
    before = document.before(code.line, code.start, n_prefix * _CHARACTERS_PER_TOKEN) + code.written
    after = document.after(code.line, code.end, n_suffix * _CHARACTERS_PER_TOKEN)
    excerpts = related.excerpts(document, code.line, before, after, n_related * _CHARACTERS_PER_TOKEN)
    body = {
        "input_prefix": before,
        "input_suffix": after,
        "input_extra": [{"filename": excerpt.name, "text": excerpt.text} for excerpt in excerpts],
        "n_predict": settings.max_tokens,
        "samplers": _SAMPLERS,
        "temperature": settings.temperature,
        "n_cmpl": settings.candidates if invoked else 1,
        "stop_at": stop_at(before, after, document.language),
        "stop_repetition": True,
        "language": document.language,
        "min_logprob": None if invoked else settings.min_logprob,
        "response_fields": ["content", "model"],
    }
    return {name: value for name, value in body.items() if value is not None}


def different(texts: list[str]) -> list[str]:
    """The texts that say something, each once, in their order."""
    return [text for text in dict.fromkeys(text.rstrip(" \t") for text in texts) if text.strip()]
