"""Responses to Text Generation Inference's clients."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from app.api.errors import ApiError, Explanation, explain
from app.api.openai import best_first
from app.api.running import Run, Text
from app.api.tgi.bodies import GenerateBody
from app.api.token_pieces import by_token
from santacoder.engine.accumulator import Alternative, Token

_REASONS = {"end": "eos_token", "word": "stop_sequence", "limit": "length"}
_ERROR_TYPES = {404: "not_found", 429: "overloaded", 503: "overloaded"}


def answer(body: GenerateBody, run: Run) -> dict[str, Any]:
    """The best text; the others are in its details."""
    text, *others = best_first(run.texts)
    found: dict[str, Any] = {"generated_text": _full_text(body, text)}
    if body.parameters.details:
        found["details"] = _details(body, text, run)
        if others:
            found["details"]["best_of_sequences"] = [
                {"generated_text": _full_text(body, other), **_details(body, other, run)} for other in others
            ]
    return found


async def lines(body: GenerateBody, run: Run) -> AsyncIterator[str]:
    """Server-sent events, one per token. The last has the whole text, and no token if it shows nothing."""
    text = run.texts[0]
    index = 0

    def event(token: Token | None, shown: str, *, last: bool) -> str:
        nonlocal index
        index += 1
        told: dict[str, Any] = {"index": index, "token": _shown(token, shown, text, run)}
        if body.parameters.top_n_tokens:
            told["top_tokens"] = [_token(likely, run) for likely in token.top] if token else []
        told |= {"generated_text": None, "details": None}
        if last:
            told |= {"generated_text": _full_text(body, text), "details": _stream_details(body, text)}
        return f"data:{json.dumps(told)}\n\n"

    try:
        async for piece in run.pieces():
            shown = list(by_token(text, piece)) or ([(None, "")] if piece.reason else [])
            for number, (token, part) in enumerate(shown, 1):
                yield event(token, part, last=piece.reason is not None and number == len(shown))
    except ApiError as error:
        yield f"data:{json.dumps(error_body(explain(error)))}\n\n"


def error_body(explanation: Explanation) -> dict[str, Any]:
    status, message, _ = explanation
    return {"error": message, "error_type": _ERROR_TYPES.get(status, "validation" if status < 500 else "generation")}


def _full_text(body: GenerateBody, text: Text) -> str:
    written = text.text[_n_echoed(text) :]
    return body.inputs + written if body.parameters.return_full_text else written


def _n_echoed(text: Text) -> int:
    """The number of characters of the prompt in a text that echoes it."""
    return sum(len(token.text) for token in text.tokens[: text.n_echoed])


def _details(body: GenerateBody, text: Text, run: Run) -> dict[str, Any]:
    tokens = text.tokens[text.n_echoed :]
    details: dict[str, Any] = {
        "finish_reason": _REASONS[text.end],
        "generated_tokens": text.n_written,
        "input_length": text.stream.n_prompt,
        "seed": text.stream.seed if body.parameters.samples else None,
        "prefill": [
            {"id": token.id, "text": token.text, "logprob": token.logprob} for token in text.tokens[: text.n_echoed]
        ],
        "tokens": [_token(token, run) for token in tokens],
    }
    if body.parameters.top_n_tokens:
        details["top_tokens"] = [[_token(likely, run) for likely in token.top] for token in tokens]
    return details


def _stream_details(body: GenerateBody, text: Text) -> dict[str, Any]:
    return {
        "finish_reason": _REASONS[text.end],
        "generated_tokens": text.n_written,
        "input_length": text.stream.n_prompt,
        "seed": text.stream.seed if body.parameters.samples else None,
    }


def _token(token: Token | Alternative, run: Run) -> dict[str, Any]:
    special = token.id in run.model.engine.tokenizer.special_ids
    return {"id": token.id, "text": token.text, "logprob": token.logprob or 0.0, "special": special}


def _shown(token: Token | None, shown: str, text: Text, run: Run) -> dict[str, Any]:
    """A token of a stream, with the text that it adds; nothing if it is a special token."""
    if token is None:
        return {"id": text.last_id, "text": shown, "logprob": text.last_logprob, "special": not shown}
    return {**_token(token, run), "text": shown}
